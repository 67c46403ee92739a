"""Finds runs by what they are called: folder, URL, name, `name/variant`, `name@-1`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaklab.errors import LeaklabError

_EARLIER = re.compile(r"(?P<name>.+)@-(?P<back>\d+)")


def find_recording(
    store: str, name: str, variant: str | None, digest: str | None = None
) -> str | None:
    """Return the newest complete run, with fingerprint ``digest`` if given; None without one."""
    from leaklab.store.location import NO_VARIANT, below, filesystem, safe_name

    fs, root = filesystem(store)
    folder = below(root, safe_name(name), safe_name(variant or NO_VARIANT))
    try:
        entries = sorted(fs.ls(folder, detail=False), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    for entry in entries:
        meta = whole_run(fs, entry)
        if meta is not None and digest in (None, meta.get("fingerprint")):
            return "/".join((store.rstrip("/"), place_in_store(entry)))
    return None


def place_in_store(path: str) -> str:
    """Return where in its store a run is: that stays the same when the store is moved."""
    return "/".join(str(path).rstrip("/").rsplit("/", 3)[-3:])


def whole_run(fs: Any, folder: str) -> dict[str, Any] | None:
    """Return what a folder's run.json says of a complete run with all its tables, else None."""
    try:
        meta = json.loads(fs.cat_file(f"{folder}/run.json"))
        there = {str(path).rsplit("/", 1)[-1] for path in fs.ls(folder, detail=False)}
    except (OSError, ValueError):
        return None
    tables = {f"{name}.parquet" for name, count in (meta.get("row_counts") or {}).items() if count}
    return meta if meta.get("state") == "complete" and tables <= there else None


def locate(text: str, store: str | None = None) -> str:
    """Return the path of the run that ``text`` means; see :func:`open`.

    ``NAME@-1`` is the run before the newest of that name, ``@-2`` the one before that.
    """
    from leaklab.store import default_store
    from leaklab.store.location import (
        archive_of,
        below,
        filesystem,
        is_local,
        local_path,
        run_folders,
    )

    text = local_path(text)
    earlier = _EARLIER.fullmatch(text)
    path = (earlier["name"] if earlier else text).rstrip("/")
    back = int(earlier["back"]) if earlier else 0
    if not is_local(path) or _is(Path.exists, Path(path) / "run.json"):
        return path
    if Path(path).name == "run.json" and _is(Path.exists, Path(path)):
        return str(Path(path).parent)
    where = local_path(str(store or default_store()))
    fs, root = filesystem(where)
    roots = [(where, fs, below(root, name)) for name in _stored_names(path)]
    if _is(Path.is_dir, Path(path)) or archive_of(path):
        roots.append((path, *filesystem(path)))
    found = [
        below(archive_of(given) or "", hit)
        for given, system, folder in roots
        for depth in range(4)
        for hit in run_folders(system, folder, depth)
    ]
    found += [hit for hit in run_folders(fs, root, 3) if hit.endswith(f"/{path}")]
    found = sorted(set(found), key=lambda hit: hit.rsplit("/", 1)[-1], reverse=True)
    if found and back >= len(found):
        raise LeaklabError(f"no such run: {text}; of {path} there are {len(found)} runs in {where}")
    if found:
        newest = found[back]
        return newest if is_local(where) else _url(where, root, newest)
    if _is(Path.is_dir, Path(path)):
        return path  # open_run says what is wrong with it
    if is_evidence(text):
        raise LeaklabError(f"a file, no run: {text}; `leaklab import {text}` makes a run of it")
    if archive_of(path) == path:
        raise LeaklabError(f"no run in the archive: {text}; unpack it and name the files in it")
    if text == "-" or (_is(Path.exists, Path(path)) and not _is(Path.is_file, Path(path))):
        what = "standard input" if text == "-" else "a pipe or device"
        raise LeaklabError(
            f"{what}, no run: {text}; save what comes from it to a file first, or give a run "
            f"folder, or a name that is in {where}"
        )
    raise LeaklabError(f"no such run: {text}; give a run folder, or a name that is in {where}")


def _stored_names(path: str) -> list[str]:
    """What a run may be kept under that is called so: ``path``, and it with its parts made safe.

    A name may have a slash of its own; what follows the last one may be the variant.
    """
    from leaklab.store.location import safe_name

    parts = path.split("/")
    if {"", ".", "..", "-"} & set(parts):  # a path, and no name
        return [path]
    name_and_variant = [part for part in path.rpartition("/")[::2] if part]
    safe = ["/".join(map(safe_name, of)) for of in (parts, name_and_variant, [path])]
    return list(dict.fromkeys((path, *safe)))


def is_evidence(text: str) -> bool:
    """Return whether ``text`` names a file that is no run's and no archive of runs."""
    from leaklab.store.location import archive_of, local_path

    path = Path(local_path(text))
    return _is(Path.is_file, path) and path.name != "run.json" and not archive_of(str(path))


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    """Whether a path is of a kind; one that is too long for any path, or is closed to us, is not.

    A name may be longer than what it is kept under.
    """
    try:
        return kind(path)
    except OSError:
        return False


def _url(store: str, root: str, hit: str) -> str:
    from leaklab.store.location import below

    return below(store, hit[len(root.rstrip("/")) :].lstrip("/"))
