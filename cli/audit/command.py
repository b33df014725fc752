"""`analysis audit` and `analysis clean` on the command line."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.terminal import AsJson, out, plain, print_json
from domain.messages import counted

if TYPE_CHECKING:
    from audit.findings import AuditReport

Names = Annotated[list[str] | None, typer.Argument(metavar="[ANALYSIS…]", help="Analyses (default: all).")]
Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")]
_SHOWN = 50


def audit(
    names: Names = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read every file and compare its sha256.")] = False,
    inputs: Annotated[bool, typer.Option("--inputs", help="Check whether inputs have changed since.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Apply safe repairs after confirmation.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Compare Dagster, MongoDB and S3 and list every difference; exit code 1 for errors and warnings."""
    from audit.sources import Depth
    from cli.audit.run import audit as run_audit
    from cli.audit.run import repair as run_repair
    from operations.platform import open_platform

    depth = Depth(content=deep, inputs=inputs)
    with open_platform() as platform:
        report = run_audit(platform, names or [], depth=depth)
        if as_json:
            print_json(report.as_dict())
        else:
            _show(report)
        if repair and report.counts and (yes or typer.confirm("Apply the repairs marked `repair`?")):
            _, repairer = run_repair(platform, names or [], depth=depth)
            repaired = ", ".join(f"{n} {kind}" for kind, n in sorted(repairer.repaired.items())) or "nothing"
            left = ", ".join(f"{n} {kind}" for kind, n in sorted(repairer.left.items())) or "nothing"
            out.print(f"Repaired: {repaired}. Remaining: {left}.", highlight=False, soft_wrap=True)
            return
    if report.serious():
        raise typer.Exit(1)


def clean(
    older_than: Annotated[str, typer.Option(help="Age of the latest file: 12h, 30d, 8w.")] = "30d",
    yes: Yes = False,
) -> None:
    """Delete interrupted attempts and files of superseded results, after confirmation."""
    from cli.audit.run import clean as run_clean
    from cli.audit.run import found_to_clean, parse_age
    from operations.platform import open_platform

    age = parse_age(older_than)
    with open_platform() as platform:
        found = list(found_to_clean(platform, older_than=age))
        table = Table("why", "analysis", "files", "bytes", "written until", "result / attempt")
        for one in found:
            where = f"{one.result_id}/{one.attempt}"
            table.add_row(
                one.why, plain(one.analysis), f"{one.files}", f"{one.bytes}", f"{one.newest:%Y-%m-%d %H:%M}", where
            )
        out.print(table)
        out.print(f"{counted(len(found), 'attempt')}, {sum(one.bytes for one in found)} bytes.", highlight=False)
        if found and (yes or typer.confirm("Delete them?")):
            out.print(f"Deleted: {run_clean(platform, found)}.", highlight=False)


def _show(report: "AuditReport") -> None:
    """Print findings, and the number of compared objects."""
    from audit.findings import KINDS

    table = Table("severity", "kind", "analysis", "found", "fixed by")
    for finding in report.first[:_SHOWN]:
        known = KINDS[finding.kind]
        table.add_row(known.severity, finding.kind, plain(finding.analysis), plain(finding.found), known.remedy)
    if report.first:
        out.print(table)
    for kind, number in sorted(report.by_kind().items()):
        out.print(f"{number} {kind}: {KINDS[kind].meaning} {KINDS[kind].advice}", highlight=False, soft_wrap=True)
    found = sum(report.counts.values())
    out.print(f"Compared: {report.compared()}. Differences: {found or 'none'}.", highlight=False, soft_wrap=True)
