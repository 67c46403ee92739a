"""Finds runs by what they are called: folder, URL, name, `name/variant`, `name@-1`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from leaklab.errors import LeaklabError

_EARLIER = re.compile(r"(?P<name>.+)@-(?P<back>\d+)")


def find_recording(
    store: str, name: str, variant: str | None, digest: str | None = None
) -> str | None:
    """Return the newest complete run, with fingerprint ``digest`` if given; None without one."""
    from leaklab.store.location import below, filesystem, safe_name

    fs, root = filesystem(store)
    folder = below(root, safe_name(name), safe_name(variant or "default"))
    try:
        entries = sorted(fs.ls(folder, detail=False), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    for entry in entries:
        try:
            meta = json.loads(fs.cat_file(f"{entry}/run.json"))
        except (OSError, ValueError):
            continue
        if digest in (None, meta.get("fingerprint")) and meta.get("state") == "complete":
            relative = str(entry).rstrip("/").rsplit("/", 3)[-3:]
            return "/".join((store.rstrip("/"), *relative))
    return None


def locate(text: str, store: str | None = None) -> str:
    """Return the path of the run that ``text`` means; see :func:`open`.

    ``NAME@-1`` is the run before the newest of that name, ``@-2`` the one before that.
    """
    from leaklab.store import default_store
    from leaklab.store.location import archive_of, below, filesystem, is_local

    earlier = _EARLIER.fullmatch(text)
    path = (earlier["name"] if earlier else text).rstrip("/")
    back = int(earlier["back"]) if earlier else 0
    if not is_local(path) or (Path(path) / "run.json").exists():
        return path
    if Path(path).name == "run.json" and Path(path).exists():
        return str(Path(path).parent)
    where = str(store or default_store())
    fs, root = filesystem(where)
    roots = [(where, fs, below(root, path))]
    if Path(path).is_dir() or archive_of(path):
        roots.append((path, *filesystem(path)))
    found = [
        below(archive_of(given) or "", str(hit))
        for given, system, folder in roots
        for depth in range(4)
        for hit in system.glob(below(folder, *"*" * depth, "run.json"))
    ]
    found += [str(hit) for hit in fs.glob(below(root, "*", "*", path, "run.json"))]
    found = sorted(set(found), key=lambda hit: hit.rsplit("/", 2)[-2], reverse=True)
    if found and back >= len(found):
        raise LeaklabError(f"no such run: {text}; of {path} there are {len(found)} runs in {where}")
    if found:
        newest = found[back]
        return newest.removesuffix("/run.json") if is_local(where) else _url(where, root, newest)
    if Path(path).is_dir():
        return path  # open_run says what is wrong with it
    if is_evidence(text):
        raise LeaklabError(f"a file, no run: {text}; `leaklab import {text}` makes a run of it")
    raise LeaklabError(f"no such run: {text}; give a run folder, or a name that is in {where}")


def is_evidence(text: str) -> bool:
    """Return whether ``text`` names a file that is no run's and no archive of runs."""
    from leaklab.store.location import archive_of

    path = Path(text)
    return path.is_file() and path.name != "run.json" and not archive_of(text)


def _url(store: str, root: str, hit: str) -> str:
    from leaklab.store.location import below

    inside = hit.removesuffix("/run.json")[len(root.rstrip("/")) :]
    return below(store, inside.lstrip("/"))
