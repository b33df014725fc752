"""`make audit-dependencies`: checks the locked packages for known vulnerabilities with pip-audit.

pip-audit ends with "No known vulnerabilities found" also when its database knew none of the packages (a mirror that has
packages but not their vulnerabilities), and with the same exit code for a vulnerability as for a network that is down.
Here the three outcomes have different messages and exit codes, so that an audit that could not run does not look safe.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

SAFE, VULNERABLE, UNKNOWN = 0, 1, 3
_OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
_NETWORK = re.compile(r"Connect|Proxy|Time(d )?out|resolve|SSL|ServiceError|HTTPError|redirect", re.IGNORECASE)
_SHOWN = 5


def audit(arguments: Sequence[str]) -> tuple[int, str]:
    """Run pip-audit for requirement files.

    Parameters
    ----------
    arguments : sequence of str
        Options of pip-audit, such as ``-r FILE``.

    Returns
    -------
    tuple of int and str
        Exit code (0: no known vulnerability, 1: vulnerable, 3: the audit could not run) and message.
    """
    command = [sys.executable, "-m", "pip_audit", *_OPTIONS, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  no shell; words of the caller
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return UNKNOWN, _no_answer(done.stderr)
    return verdict(found)


def verdict(found: Sequence[dict[str, Any]]) -> tuple[int, str]:
    """Return exit code and message for a report of pip-audit.

    Parameters
    ----------
    found : sequence of dict
        The ``dependencies`` of its JSON report.

    Returns
    -------
    tuple of int and str
        Exit code and message, as from `audit`.
    """
    unknown = [package["name"] for package in found if "skip_reason" in package]
    bad = [f"  {_line(package, fault)}" for package in found for fault in package.get("vulns", [])]
    silent = ""
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (", ..." if len(unknown) > _SHOWN else "")
        silent = f"NOT AUDITED: the database does not know {len(unknown)} of {len(found)} packages: {shown}"
    if found and len(unknown) == len(found):
        silent += "\nProbably a mirror of packages answers in its place. Try ARGS='--vulnerability-service osv'."
    if bad:
        return VULNERABLE, "\n".join(
            [f"VULNERABLE: {len(bad)} known vulnerabilities", *bad, *([silent] if silent else [])]
        )
    if unknown or not found:
        return UNKNOWN, silent or "NOT AUDITED: no package was found in the requirement files."
    return SAFE, f"None of {len(found)} packages has a known vulnerability."


def _line(package: dict[str, Any], fault: dict[str, Any]) -> str:
    fixed = ", ".join(fault.get("fix_versions") or []) or "no version yet"
    return f"{package['name']} {package['version']}: {fault['id']}, fixed in {fixed}"


def _no_answer(said: str) -> str:
    """Return exit code and message for a missing report."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "nothing")
    if _NETWORK.search(last):
        return f"NOT AUDITED: the database of vulnerabilities cannot be reached. pip-audit reported: {last}"
    return f"NOT AUDITED: pip-audit failed. It reported: {last}"


def main() -> int:
    """Run the audit, print the message, and return the exit code."""
    code, text = audit(sys.argv[1:])
    sys.stdout.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
