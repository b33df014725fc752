"""Draws the packages and their imports into CONTRIBUTING.md: ``python docs/import_graph.py``, part of ``make docs``.

A package of many modules, such as ``resources``, is one node. An arrow that follows from others is left out, so that the
picture shows the order of the layers.
"""

import re
import tomllib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
_MARKED = re.compile(r"(<!-- packages: begin -->\n).*?(<!-- packages: end -->)", re.DOTALL)


def packages() -> list[str]:
    """Return the packages that import-linter keeps in order."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return sorted(settings["tool"]["importlinter"]["root_packages"])


def imports(names: list[str]) -> dict[str, set[str]]:
    """Return which packages each package imports directly; the one allowed import upwards is left out."""
    graph = grimp.build_graph(*names)
    graph.remove_import(importer="resources.results", imported="results")
    for name in names:
        graph.squash_module(name)
    return {name: set(graph.find_modules_directly_imported_by(name)) - {name} for name in names}


def reached(name: str, edges: Mapping[str, AbstractSet[str]]) -> set[str]:
    """Return every package that a package reaches by its imports."""
    found = set(edges[name])
    for other in edges[name]:
        found |= reached(other, edges)
    return found


def reduced(edges: Mapping[str, AbstractSet[str]]) -> dict[str, set[str]]:
    """Leave out each import that follows from others."""
    implied = {name: {far for near in edges[name] for far in reached(near, edges)} for name in edges}
    return {name: set(edges[name]) - implied[name] for name in edges}


def picture() -> str:
    """Return the picture as a Mermaid diagram."""
    edges = reduced(imports(packages()))
    lines = [f"    {name} --> {imported}" for name in edges for imported in sorted(edges[name])]
    drawn = {name for name, others in edges.items() if others}.union(*edges.values())
    alone = [f"    {name}" for name in edges if name not in drawn]
    return "\n".join(["```mermaid", "flowchart TD", *lines, *alone, "```", ""])


def refreshed(page: str) -> str:
    """Return the page with the picture as the code is now."""
    return _MARKED.sub(lambda marks: f"{marks[1]}\n{picture()}\n{marks[2]}", page)


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
