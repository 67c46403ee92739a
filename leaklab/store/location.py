"""Where runs are kept: the store, the folder of one run, names that are safe in a path."""

from __future__ import annotations

import os
import re
import secrets
import time
import unicodedata
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from leaklab.errors import LeaklabError, UsageError

STORE_VARIABLE = "LEAKLAB_STORE"
# The folder of runs that have no variant.
NO_VARIANT = "default"
# Of the 255 bytes that file systems allow, some are left for endings.
_LONGEST_NAME, _LONGEST_NAME_BYTES = 80, 200
_HERE = re.compile(r"(?:file|local):(?://(?:localhost(?=/))?|(?=/))")
_IN_MEMORY = "memory://"


def data_folder() -> Path:
    """Return the ``data`` folder: the nearest one, upwards from here, that already holds runs.

    Notebooks run with ``notebooks/`` as their working folder, commands from the project's root;
    both must find the same runs. Where nothing holds runs yet it is ``data`` in the working folder.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "data" / "runs").is_dir():
            return folder / "data"
    return here / "data"


def default_store() -> str:
    """Return the store used when none is named: $LEAKLAB_STORE, else ``data/runs``."""
    return local_path(os.environ.get(STORE_VARIABLE) or str(data_folder() / "runs"))


def resolved_store(store: str | os.PathLike[str] | None = None) -> str:
    """Return the store named, else the default one, as every working folder finds it."""
    named = local_path(os.fspath(store or default_store()))
    return str(Path(named).resolve()) if is_local(named) else named


def local_path(text: str) -> str:
    """Return the path in ``file:///…`` and ``local://…``, and anything else as it is.

    In a URL a space is ``%20``; but a path that is there just as it is written is that one.

    >>> local_path("file:///srv/my%20runs"), local_path("/srv/my%20runs"), local_path("s3://a/b")
    ('/srv/my runs', '/srv/my%20runs', 's3://a/b')
    """
    match = _HERE.match(text)
    if match is None:
        return text
    path = text[match.end() :]
    return path if os.path.lexists(path) else unquote(path)


def check_lasting(store: str) -> None:
    """Raise UsageError for a store in the memory of this process: a command's run is gone at once.

    In Python, where the process goes on, such a store is of use.
    """
    if _IN_MEMORY in store:
        raise UsageError(
            f"a store that is gone when the command ends: {store}; name a folder or a bucket"
        )


def reports_folder(store: str | None = None) -> Path:
    """Return the folder of the pages on the runs in ``store``: beside it, where it is a folder.

    >>> reports_folder("out/runs"), reports_folder("soak")
    (PosixPath('out/reports'), PosixPath('soak-reports'))
    """
    named = local_path(store or os.environ.get(STORE_VARIABLE) or "")
    if not named or not is_local(named) or archive_of(named):
        return data_folder() / "reports"
    folder = Path(named)
    return folder.with_name("reports" if folder.name == "runs" else f"{folder.name}-reports")


def safe_name(text: str) -> str:
    """Return ``text`` as one path component: letters and digits of any script, ``.``, ``_``, ``-``.

    One text has one name, however its accents were typed.

    >>> safe_name("fïle ü (2)"), safe_name("日本"), safe_name("../..")
    ('fïle-ü-2', '日本', 'unnamed')
    """
    # What does not belong in a name becomes a space first, and a row of spaces one dash.
    kept = "".join(
        char if char in "._-" or unicodedata.category(char)[0] in "LMN" else " "
        for char in unicodedata.normalize("NFC", text)
    )
    name = re.sub(" +", "-", kept).strip(".-")[:_LONGEST_NAME]
    # A file system counts bytes, of which a letter may have four.
    return name.encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore") or "unnamed"


def new_run_id() -> str:
    """Return an id that sorts by time: ``20260131T235959-1a2b3c``."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


def filesystem(path: str) -> tuple[Any, str]:
    """Return the fsspec file system of ``path`` (a folder or a URL) and the path inside it.

    A zip archive is read as a folder of its content: ``runs.zip``, ``runs.zip/name/variant/ID``.
    """
    import fsspec.core

    path = local_path(os.fspath(path))
    archive = archive_of(path)
    if archive is not None:
        from fsspec.implementations.zip import ZipFileSystem

        return ZipFileSystem(archive, skip_instance_cache=True), path[len(archive) :].strip("/")
    try:
        fs, inside = fsspec.core.url_to_fs(path)
    except ImportError as error:
        raise LeaklabError(
            f"no reader for this store: {path}; {error}; pip install 'leaklab[s3]' for s3://"
        ) from None
    except ValueError as error:
        raise UsageError(f"not a folder or a known URL: {path}; {error}") from None
    return fs, absolute_path(inside) if is_local(path) else str(inside)


def absolute_path(path: str | os.PathLike[str]) -> str:
    """Return an absolute path without ``..``, links as they are.

    Behind a link ``..`` may lead elsewhere: such a path stays.

    >>> absolute_path("/srv/proj/../runs")
    '/srv/runs'
    """
    full = Path(path).absolute()
    plain = os.path.normpath(full)
    return plain if os.path.realpath(plain) == os.path.realpath(full) else str(full)


def below(root: str, *parts: str) -> str:
    """Return the path of what lies below ``root``, which is empty for an archive as a whole."""
    return "/".join((root.rstrip("/"), *parts)) if root else "/".join(parts)


def run_folders(fs: Any, root: str, depth: int) -> list[str]:
    """Return the folders of runs so many levels below ``root``, links to some among them.

    No pattern: a folder may be called ``runs [prod]``.
    """
    folders = [root.rstrip("/")]
    for _ in range(depth):
        folders = [
            str(entry["name"]).rstrip("/")
            for folder in folders
            for entry in _entries(fs, folder)
            if entry["type"] == "directory" or (entry.get("islink") and fs.isdir(entry["name"]))
        ]
    return sorted(folder for folder in folders if fs.isfile(below(folder, "run.json")))


def _entries(fs: Any, folder: str) -> list[dict[str, Any]]:
    try:
        entries: list[dict[str, Any]] = fs.ls(folder, detail=True)
    except OSError:  # is not there, is no folder, or is closed to us
        return []
    return entries


def archive_of(path: str) -> str | None:
    """Return the zip archive that ``path`` leads into, None where there is none."""
    head, found, rest = path.partition(".zip")
    inside = found and rest[:1] in ("", "/") and zipfile.is_zipfile(head + found)
    return head + found if inside else None


def is_local(path: str) -> bool:
    """Return whether ``path`` is in this machine's own file system."""
    return "://" not in local_path(str(path))
