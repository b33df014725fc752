"""Measure sections of the benchmark, one after the other, and write the page of all results: ``make bench``."""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.report import Kept, Measured
from benchmarks.section import Figures, Options, Section

NAMES = (
    "overhead",
    "busy",
    "start",
    "intake",
    "queries",
    "catalog",
    "explorer",
    "identity",
    "uploads",
    "dispatch",
    "ui",
    "growth",
)
"""Every section, each a module of this package with a ``SECTION``; the longest last."""

HERE = Path(__file__).parent


Loaders = Mapping[str, Callable[[], Section]]


def main(words: Sequence[str] | None = None, *, loaders: Loaders | None = None) -> int:
    """Measure, and write the page; the exit code says whether every section was measured.

    Parameters
    ----------
    words : sequence of str, optional
        The command line; that of the process by default.
    loaders : mapping, optional
        Sections by name, each imported when it is needed; those of this package by default.
    """
    loaders = loaders or {name: partial(_section, name, NAMES) for name in NAMES}
    given = _parser(tuple(loaders)).parse_args(words)
    kept, wanted = Kept(given.output), [] if given.render else given.only
    sections = {name: loader() for name, loader in loaders.items() if name in wanted or kept.read(name)}
    failed = []
    for name in wanted:
        print(f"benchmark: {name} …", flush=True)
        try:
            _measure(sections[name], kept, rounds=given.rounds, scale=given.scale)
        except Exception as error:  # noqa: BLE001  the other sections are still measured; the error is shown at the end
            failed.append(f"benchmark: {name} failed: {type(error).__name__}: {error}")
            print(failed[-1], file=sys.stderr, flush=True)
        kept.render(sections)
    page = kept.render(sections)
    print("\n".join([f"benchmark: results are in {page}", *failed]))
    return 1 if failed else 0


def load(names: Iterable[str], *, known: Sequence[str] = NAMES) -> dict[str, Section]:
    """Import sections.

    Parameters
    ----------
    names : iterable of str
        Names of sections; each must be in `known`.
    known : sequence of str
        Names of all sections.

    Raises
    ------
    ValueError
        If there is no such section, or its module does not define one.
    """
    return {name: _section(name, known) for name in names}


def _section(name: str, known: Sequence[str]) -> Section:
    """Import one section."""
    if name not in known:
        msg = f"There is no section {name!r} of the benchmark. Sections are: {', '.join(known)}."
        raise ValueError(msg)
    if importlib.util.find_spec(f"benchmarks.{name}") is None:
        msg = f"The section {name!r} of the benchmark has no module: benchmarks/{name}.py is missing."
        raise ValueError(msg)
    found = getattr(importlib.import_module(f"benchmarks.{name}"), "SECTION", None)
    if not isinstance(found, Section) or found.name != name:
        msg = f"benchmarks/{name}.py has no SECTION = Section(name={name!r}, …)."
        raise ValueError(msg)
    return found


def _measure(section: Section, kept: Kept, *, rounds: int, scale: float) -> None:
    """Measure one section and keep its figures, and those that it has before its end."""
    write = partial(kept.write, section.name, measured=Measured())

    def keep(figures: Figures) -> None:
        write(figures, options=options, complete=False)

    options = Options(rounds, scale, keep)
    write(section.measure(options), options=options)


def _parser(known: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = partial(_names, known=known)
    parser.add_argument("--only", type=names, default=list(known), help=f"sections by commas, of {', '.join(known)}")
    parser.add_argument("--rounds", type=_at_least_one, default=3, help="how often each thing is measured")
    parser.add_argument("--scale", type=float, default=1.0, help="what the sizes are multiplied with")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of RESULTS.md and results/")
    parser.add_argument("--render", action="store_true", help="measure nothing, regenerate the page")
    return parser


def _names(text: str, *, known: Sequence[str]) -> list[str]:
    """Read names that are separated by commas."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if wrong := sorted(set(names) - set(known)):
        msg = f"no such section: {', '.join(wrong)}; there are {', '.join(known)}"
        raise argparse.ArgumentTypeError(msg)
    return names or list(known)


def _at_least_one(text: str) -> int:
    """Read a number of rounds."""
    if (number := int(text)) < 1:
        msg = "at least 1"
        raise argparse.ArgumentTypeError(msg)
    return number


if __name__ == "__main__":
    sys.exit(main())
