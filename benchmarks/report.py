"""What is kept of each section, one JSON file each, and the page that is made of all of them."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import as_markdown, machine
from benchmarks.section import Figures, Options, Section, Target

_TEXT = """# Results of the benchmark

Made by `make bench`. Each section says when, on what and with which command it was measured; a section that is measured again
replaces its own results only. The raw figures, single rounds included, are in `benchmarks/results/`.

## Targets

{targets}
"""
_HEAD = "| section | what | target | found | met |\n|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Measured:
    """When and on what a section is measured: made before it begins, because it changes load and tree.

    Attributes
    ----------
    begin : float
        On the monotonic clock.
    date : str
        Date of the measurement (ISO 8601).
    machine : dict
        Description from `benchmarks.machine`.
    """

    begin: float = field(default_factory=time.monotonic)
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    machine: dict[str, Any] = field(default_factory=machine)


@dataclass(frozen=True)
class Kept:
    """Where results are.

    Attributes
    ----------
    folder : Path
        Holds ``RESULTS.md`` and ``results/``.
    """

    folder: Path

    def write(
        self, name: str, figures: Figures, *, options: Options, measured: Measured, complete: bool = True
    ) -> None:
        """Store the figures of one section, replacing its earlier ones."""
        found = {
            "section": name,
            "date": measured.date,
            "command": f'make bench ONLY={name} ARGS="--rounds {options.rounds} --scale {options.scale:g}"',
            "took_s": round(time.monotonic() - measured.begin),
            "complete": complete,
            "scale": options.scale,
            "machine": measured.machine,
            "figures": figures,
        }
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what is kept of a section; None if it was never measured."""
        path = self._path(name)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def render(self, sections: Mapping[str, Section]) -> Path:
        """Write the page of all sections that have results; returns its path."""
        kept = [(section, found) for name, section in sections.items() if (found := self.read(name))]
        rows = [_row(s, f, target) for s, f in kept for target in s.targets(f["figures"])]
        parts = [_TEXT.format(targets=_HEAD + "\n".join(rows)), *(_part(s, f) for s, f in kept)]
        for section, found in kept:
            if section.draw is not None:
                section.draw(found["figures"], self.folder)
        page = self.folder / "RESULTS.md"
        page.write_text("\n".join(parts), encoding="utf-8")
        return page

    def _path(self, name: str) -> Path:
        """Return the file of a section."""
        return self.folder / "results" / f"{name}.json"


def _row(section: Section, found: Mapping[str, Any], target: Target) -> str:
    """Write one line of the table of targets; one that was measured at another size says so."""
    small = "" if found["scale"] >= 1 and found["complete"] else f" (scale {found['scale']:g})"
    met = "yes" if target.met else "**no**"
    return f"| [{section.name}](#{anchor(section.title)}) | {target.what} | {target.wanted} | {target.found}{small} | {met} |"


def _part(section: Section, found: Mapping[str, Any]) -> str:
    """Write one section."""
    partly = "" if found["complete"] else " **Interrupted: this is what it had until then.**"
    when = f"{found['date']}, `{found['command']}`, {found['took_s']} s, on {as_markdown(found['machine'])}."
    return f"## {section.title}\n\n{when}{partly}\n\n{section.as_markdown(found['figures']).strip()}\n"


def anchor(title: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
