"""Zarr stores on disk: links that leave them, and consolidated metadata that differ from the store.

hdmf-zarr keeps links as JSON in attributes, and opens whatever folder they name. It reads consolidated metadata where they
are; what they leave out does not exist for it, and an array that was deleted reads as its fill value.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.messages import joined
from resources.nwb_files.names import input_error

VERSION_2, VERSION_3 = ".zgroup", "zarr.json"
MARKS = (VERSION_2, VERSION_3)
"""Files of which a Zarr store has at least one, by version of its format."""

_ATTRIBUTES = ".zattrs"
_NODES = (".zgroup", ".zarray")
_CONSOLIDATED = ".zmetadata"
_LINKS = "zarr_link"
# hdmf-zarr adds the cached schema, and the attribute that names its group, after it has consolidated the metadata.
_SCHEMA = "specifications"
_SCHEMA_ATTRIBUTE = ".specloc"
_REFERENCE = {"path", "source"}
_MOST = 5
_EXPORT = "Export the store with its data inside (`NWBZarrIO.export`, `link_data=False`), and name the new store"
_CONSOLIDATE = "Complete the store, run `zarr.consolidate_metadata` on it, and name it again"


@dataclass
class _Scan:
    """What a walk over the files of a store has found."""

    links: list[str] = field(default_factory=list)
    documents: dict[str, Any] = field(default_factory=dict)


def check_zarr_version(root: Path, *, name: str) -> None:
    """Raise for a store of format 3, which the installed readers do not open.

    Parameters
    ----------
    root : Path
        Folder of the store.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        If it has the metadata of format 3 and none of format 2.
    """
    if (root / VERSION_3).is_file() and not (root / VERSION_2).is_file():
        reason = "is a Zarr store of format 3, and only format 2 is supported"
        raise input_error(name, reason, "Export the file as HDF5, or as Zarr with `zarr_format=2`")


def check_zarr_links(root: Path, *, name: str) -> None:
    """Raise if a store has links that leave it or lead nowhere, or if its consolidated metadata are outdated.

    Parameters
    ----------
    root : Path
        Folder of the store.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        If a link or reference names another store, has no target, or a symbolic link leaves the folder; or if the
        consolidated metadata and the store name different groups, arrays or attributes.
    """
    root = root.resolve()
    scan = _Scan()
    _scan(root, root, scan)
    consolidated = _consolidated(root, name=name)
    links = list(dict.fromkeys([*_links(root, scan.documents), *_links(root, consolidated)]))
    outside = [
        f"`{link}` links to `{target}` in `{source}`" for link, source, target in links if not _is_here(root, source)
    ]
    if outside := [*scan.links, *outside]:
        raise input_error(name, f"reads from other files: {joined(outside, most=_MOST)}", _EXPORT)
    _check_consolidated(consolidated, scan.documents, name=name)
    broken = [
        f"`{link}` links to `{target}`, which is not in the store"
        for link, _, target in links
        if not any((root / target.strip("/") / node).is_file() for node in _NODES)
    ]
    if broken:
        raise input_error(name, f"has broken links: {joined(broken, most=_MOST)}", "Export the store again")


def _links(root: Path, documents: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield path, source and target of each link and reference in metadata documents."""
    for path, document in documents.items():
        if path.endswith(_ATTRIBUTES):
            where = "/" + path.removesuffix(_ATTRIBUTES).rstrip("/")
            for link, source, target in _targets(root, where, document):
                yield link, str(source), str(target)


def _scan(root: Path, folder: Path, scan: _Scan) -> None:
    """Collect metadata documents by path, and symbolic links that leave the store."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = Path(entry.path)
            if entry.is_symlink() and not path.resolve().is_relative_to(root):
                scan.links.append(f"`/{path.relative_to(root)}` is a symbolic link to `{os.readlink(path)}`")  # noqa: PTH115
            elif entry.is_dir(follow_symlinks=False):
                _scan(root, path, scan)
            elif entry.name in (*_NODES, _ATTRIBUTES):
                scan.documents[str(path.relative_to(root))] = _json(path)


def _json(path: Path) -> Any:
    """Return a document; None if it is not JSON, which the reader of the store reports."""
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def _consolidated(root: Path, *, name: str) -> dict[str, Any]:
    """Return the documents that the consolidated metadata hold; none if there are no such metadata."""
    path = root / _CONSOLIDATED
    if not path.is_file():
        return {}
    content = _json(path)
    documents = content.get("metadata") if isinstance(content, dict) else None
    if not isinstance(documents, dict):
        raise input_error(name, "has consolidated metadata (`.zmetadata`) that are not readable", _CONSOLIDATE)
    return {path: document for path, document in documents.items() if isinstance(path, str)}


def _check_consolidated(consolidated: dict[str, Any], stored: dict[str, Any], *, name: str) -> None:
    """Raise if consolidated metadata and store differ."""
    if not consolidated:
        return
    named, held = _comparable(consolidated), _comparable(stored)
    # Attributes are compared where both have them: writers leave out empty ones.
    absent = sorted(path for path in set(named) - set(held) if not path.endswith(_ATTRIBUTES))
    unnamed = sorted(path for path in set(held) - set(named) if not path.endswith(_ATTRIBUTES))
    other = sorted(path for path in set(named) & set(held) if named[path] != held[path])
    kinds = {"names what the store does not hold": absent, "leaves out": unnamed, "differs from the store in": other}
    faults = [
        f"{verb} {joined([f'`/{_node(path)}`' for path in paths], most=_MOST)}"
        for verb, paths in kinds.items()
        if paths
    ]
    if faults:
        reason = f"has outdated consolidated metadata: `.zmetadata` {', and '.join(faults)}"
        raise input_error(name, reason, _CONSOLIDATE)


def _comparable(documents: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata documents without those of the cached schema."""
    kept = {
        path: document
        for path, document in documents.items()
        if path.rpartition("/")[2] in (*_NODES, _ATTRIBUTES) and path.partition("/")[0] != _SCHEMA
    }
    if isinstance(top := kept.get(_ATTRIBUTES), dict):
        kept[_ATTRIBUTES] = {key: value for key, value in top.items() if key != _SCHEMA_ATTRIBUTE}
    return kept


def _node(path: str) -> str:
    return path.rpartition("/")[0]


def _targets(root: Path, where: str, attributes: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield path, source and target of each link of a group, and of each reference in attributes or an array."""
    if not isinstance(attributes, dict):
        return
    links = attributes.get(_LINKS)
    for link in [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []:
        yield f"{where.rstrip('/')}/{link.get('name')}", link.get("source"), link.get("path")
    for name in sorted(set(attributes) - {_LINKS, "zarr_dtype"}):
        for reference in _references(attributes[name]):
            yield f"{where}@{name}", reference["source"], reference["path"]
    if "object" in json.dumps(attributes.get("zarr_dtype")):
        for reference in _references(_values(root / where.strip("/"))):
            yield where, reference["source"], reference["path"]


def _references(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the references inside a JSON value."""
    if isinstance(value, dict) and set(value) >= _REFERENCE:
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _references(part)


def _values(folder: Path) -> list[Any]:
    """Return the values of an array of references; none if it cannot be read, which its reader reports.

    hdmf-zarr writes references as pickles, which numcodecs only reads where a program allows it: these are not checked.
    """
    import zarr  # noqa: PLC0415 - takes 0.5 s, needed by readers of Zarr only

    try:
        found = zarr.open_array(str(folder), mode="r")[...].tolist()
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, zarr.errors.MetadataError):
        return []
    return found if isinstance(found, list) else [found]


def _is_here(root: Path, source: str) -> bool:
    """Return whether the source of a link is the store itself; a relative one is relative to the store."""
    return (root / source).resolve() == root
