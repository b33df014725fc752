"""Links of HDF5 files: all that a result is computed from is inside the inputs that its record names.

pynwb follows a link into another file without recording it, and leaves out a broken one: a units table behind a broken link
is then a file without units. So links that leave the file and links without a target are errors.
"""

from collections.abc import Iterator
from typing import Any

from domain.messages import joined
from resources.nwb_files.names import input_error

EXPORT = "Export the file with its data inside (`NWBHDF5IO.export`, `link_data=False`), and name the new file"
_MOST = 5
_SAME_FILE = "."


def check_hdf5_links(file: Any, *, name: str) -> None:
    """Raise if a file has links that leave it or lead nowhere; no link is followed before it is known to stay inside.

    Parameters
    ----------
    file : h5py.File
        The open file.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        If a link or dataset reads from another file, or a link has no target. The message names both.
    """
    outside: list[str] = []
    soft: list[tuple[str, str]] = []
    for group, key in _entries(file):
        path = f"{group.name.rstrip('/')}/{key}"
        target = _soft_target(group, key)
        if target is not None:
            soft.append((path, target))
        elif found := _leaves(group, key):
            outside.append(f"`{path}` {found}")
    if outside:
        raise input_error(name, f"reads from other files: {joined(outside, most=_MOST)}", EXPORT)
    # Only now: resolving a soft link may pass through an external one.
    broken = [
        f"`{path}` links to `{target}`, which is not in the file" for path, target in soft if not _is_there(file, path)
    ]
    if broken:
        raise input_error(name, f"has broken links: {joined(broken, most=_MOST)}", "Export the file again")


def check_header_links(file: Any, paths: Any, *, name: str) -> None:
    """Raise if one of some paths passes through a link that leaves the file.

    Parameters
    ----------
    file : h5py.File
        The open file.
    paths : sequence of str
        Paths such as ``general/subject/subject_id``; those that do not exist are ignored.
    name : str
        What messages call it.

    Raises
    ------
    InputError
        As `check_hdf5_links`.
    """
    for path in paths:
        group, passed = file, ""
        for key in path.split("/"):
            if key not in group.keys():  # noqa: SIM118  `key in group` opens what an external link leads to
                break
            passed += f"/{key}"
            if _soft_target(group, key) is not None:
                check_hdf5_links(file, name=name)
            elif found := _leaves(group, key):
                raise input_error(name, f"reads from other files: `{passed}` {found}", EXPORT)
            group = group[key]
            if not hasattr(group, "keys"):
                break


def _is_there(file: Any, path: str) -> bool:
    """Return whether a path leads to an object; `path in file` is also true of a broken link."""
    try:
        file[path]
    except (KeyError, RuntimeError, OSError):
        return False
    return True


def _entries(file: Any) -> Iterator[tuple[Any, str]]:
    """Yield each group with each of its keys; a group that several hard links name is visited once."""
    import h5py  # noqa: PLC0415 - takes 0.1 s, needed by readers only

    waiting, seen = [file["/"]], set()
    while waiting:
        group = waiting.pop()
        for key in group:
            yield group, key
            if isinstance(_link(group, key), h5py.HardLink) and group.get(key, getclass=True) is h5py.Group:
                below = group[key]
                address = h5py.h5o.get_info(below.id).addr
                if address not in seen:
                    seen.add(address)
                    waiting.append(below)


def _link(group: Any, key: str) -> Any:
    """Return a link of a group; None for a link of a type that HDF5 itself does not define."""
    try:
        return group.get(key, getlink=True)
    except TypeError:
        return None


def _soft_target(group: Any, key: str) -> str | None:
    import h5py  # noqa: PLC0415

    link = _link(group, key)
    return str(link.path) if isinstance(link, h5py.SoftLink) else None


def _leaves(group: Any, key: str) -> str | None:
    """Return how an entry reads from another file; None if it does not."""
    import h5py  # noqa: PLC0415

    link = _link(group, key)
    if link is None:
        return "is a link of an unknown type"
    if isinstance(link, h5py.ExternalLink):
        return f"is an external link to `{link.path}` in `{link.filename}`"
    if group.get(key, getclass=True) is not h5py.Dataset:
        return None
    dataset = group[key]
    if dataset.external:
        return f"keeps its values in `{dataset.external[0][0]}` (external storage)"
    sources = [] if not dataset.is_virtual else [source.file_name for source in dataset.virtual_sources()]
    others = [source for source in sources if source != _SAME_FILE]
    return f"is a virtual dataset of `{others[0]}`" if others else None
