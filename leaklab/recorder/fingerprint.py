"""When two recordings would be the same: same source, arguments, interpreter, packages, options."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

# Beyond this the folder is no small project, and reading it would take longer than is worth it:
# such a target is always recorded anew.
SOURCE_LIMIT_BYTES = 20_000_000
SOURCE_LIMIT_COUNT = 2_000
_SKIPPED = {"node_modules", "site-packages", "__pycache__", "data", "build", "dist"}


def recorded_from(argv: Sequence[str], python: str | None, folder: Path) -> dict[str, str | None]:
    """Return what code a command in ``folder`` runs: the script's folder, python, and a digest.

    Code means every .py file in the folder of the script, so that an edited module beside it
    counts too, and the installed packages. The digest is None where it cannot be known: for a
    program that is no Python script, or too large a folder.
    """
    script = folder / argv[0] if argv else None
    if script is None or script.suffix != ".py" or not script.is_file():
        return {"folder": None, "python": python, "digest": None}
    source = script.resolve().parent
    return {"folder": str(source), "python": python, "digest": _code_digest(source, python)}


def is_unchanged(code: Mapping[str, str | None]) -> bool:
    """Return whether what `recorded_from` has returned is still so; False where it is not known."""
    folder, digest = code.get("folder"), code.get("digest")
    known = folder is not None and digest is not None
    return known and _code_digest(Path(str(folder)), code.get("python")) == digest


def fingerprint(
    argv: Sequence[str], code: Mapping[str, str | None], folder: Path, options: Mapping[str, Any]
) -> str | None:
    """Return a digest of all that makes a recording what it is, or None if it cannot be known.

    ``code`` is what `recorded_from` says of the command; where that is not known it is recorded
    anew.
    """
    if code["digest"] is None:
        return None
    options = dict(options)
    # Where leaklab's own services listen changes with every start and changes nothing measured.
    options["env"] = {
        key: value
        for key, value in (options.get("env") or {}).items()
        if not key.startswith("LEAKLAB_")
    }
    # An empty working folder is a scratch folder: its name says nothing about the recording.
    if folder.is_dir() and not any(folder.iterdir()):
        options.pop("cwd", None)
    known = {
        "argv": list(argv),
        "code": dict(code),
        "leaklab": recording_code(),
        "options": {key: options[key] for key in sorted(options)},
    }
    return hashlib.sha256(json.dumps(known, default=str).encode()).hexdigest()[:32]


def _code_digest(folder: Path, python: str | None) -> str | None:
    interpreter = [
        os.path.realpath(python or sys.executable),
        sys.version if python is None else None,
        _installed(python),
    ]
    digest = hashlib.sha256(json.dumps(interpreter).encode())
    size = count = 0
    for path in _sources(folder):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        size, count = size + len(content), count + 1
        if size > SOURCE_LIMIT_BYTES or count > SOURCE_LIMIT_COUNT:
            return None
        digest.update(os.fsencode(path) + b"\0" + content)
    return digest.hexdigest()[:32]


def recording_code() -> str:
    """Return a digest of the code that records: what another one recorded is not taken for its own.

    Of the probe, the recorder and the store; a change of the analysis judges the same runs anew.
    """
    return code_of("probe", "recorder", "store")


@cache
def code_of(*rooms: str) -> str:
    """Return a digest of the code in some of leaklab's own rooms."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((package / room).rglob("*.py")):
            digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(root: Path) -> Iterable[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not Path(folder, name, "pyvenv.cfg").exists()
        )
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


def _installed(python: str | None) -> list[str]:
    """Names and versions of the installed packages, from the names of their metadata folders."""
    if python is None:
        folders = [Path(entry) for entry in sys.path if entry.endswith("site-packages")]
    else:
        prefix = Path(python).absolute().parent.parent
        folders = sorted(prefix.glob("lib/python*/site-packages"))
    return sorted(
        entry.name for folder in folders for entry in folder.glob("*.dist-info") if entry.is_dir()
    )
