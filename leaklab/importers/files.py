"""Files as runs: what ``leaklab import``, ``show`` and ``compare`` and ``ll.read`` do."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError, UsageError
from leaklab.importers import memray_capture, tracemalloc_dumps
from leaklab.importers.reading import Options, Progress, Source
from leaklab.importers.registry import MEMRAY, NAMES, check, check_taken, read
from leaklab.importers.run import in_memory, run_meta, stored
from leaklab.recorder.captures.capture import children_of
from leaklab.recorder.fingerprint import code_of

if TYPE_CHECKING:
    from leaklab.store import RunData

Say = Callable[[str], None]


def import_files(
    paths: Sequence[Path], options: Options, **how: Any
) -> Iterator[str | LeaklabError]:
    """Turn files into runs and yield their folders; see :func:`import_file` for ``how``.

    Of a file that cannot be read the error is yielded instead: the others are read all the same.
    Dumps of tracemalloc are one run together; the files memray wrote for forked children belong to
    their parent's.
    """
    children = {
        path for path in paths if path.suffix[1:].isdecimal() and path.with_suffix("") in paths
    }
    dumps: list[Path] = []
    rest: list[Path | LeaklabError] = []
    for path in paths:
        try:
            check(path)
            if _is_dump(path, how["form"]):
                dumps.append(path)
            elif path not in children:
                rest.append(path)
        except LeaklabError as error:
            rest.append(error)
    parts = [*([dumps] if dumps else []), *rest]
    for part in parts:
        if isinstance(part, LeaklabError):
            yield part
            continue
        try:
            if isinstance(part, list):
                yield _import_dumps(part, options, **how)
            else:
                yield import_file(part, options, **how)
        except LeaklabError as error:
            yield error


def _import_dumps(dumps: list[Path], options: Options, **how: Any) -> str:
    check_taken(tracemalloc_dumps.NAME, options, dumps[0])
    name = how["name"] or stem(dumps[0])
    fingerprint = _fingerprint(dumps, options, how)
    if found := _imported(dumps[0], name, how["variant"], fingerprint, how):
        return found
    reading = tracemalloc_dumps.read_all(dumps, options)
    how["say"](f"{dumps[0].name}: {reading.title}, {reading.understood}")
    meta = run_meta(reading, name, how["variant"], how["limit_bytes"], given=bool(how["name"]))
    return stored(reading, {**meta, "fingerprint": fingerprint}, how["store"])


def _is_dump(path: Path, form: str | None) -> bool:
    if form is not None:
        return form == tracemalloc_dumps.NAME
    return bool(tracemalloc_dumps.recognise(Source(path)))


def import_file(path: Path, options: Options, **how: Any) -> str:
    """Turn a file into a run and return its folder.

    ``how``: form, name, variant, limit_bytes, as the user gave them; store, to which the run goes;
    find (name, variant, fingerprint), which returns a run that is there already or None; say, which
    is told in one line what was understood; progress, which is told how far the reading is. Raises
    UsageError for a file that is not read, naming what it is and what to do; LeaklabError for one
    that is damaged.
    """
    name, variant, say = how["name"], how["variant"], how["say"]
    if is_capture := _is_capture(path, how["form"]):
        check_taken(MEMRAY, options, path)
        variant = variant or memray_capture.VARIANT
    own_name = name or stem(path)
    files = [path, *(children_of(path) if is_capture else ())]
    fingerprint = _fingerprint(files, options, how)
    if found := _imported(path, own_name, variant, fingerprint, how):
        return found
    if is_capture:
        with _unpacked(path) as plain:
            return memray_capture.stored(
                plain, how["store"], name, variant, how["limit_bytes"], say, fingerprint
            )
    reading = read(path, options, how["form"], how.get("progress"))
    say(f"{path.name}: {reading.title}, {reading.understood}")
    meta = run_meta(reading, own_name, variant, how["limit_bytes"], given=bool(name))
    return stored(reading, {**meta, "fingerprint": fingerprint}, how["store"])


def _fingerprint(paths: Sequence[Path], options: Options, how: Mapping[str, Any]) -> str:
    """A digest of all that makes the run of some files what it is."""
    asked = [asdict(options), *(how[key] for key in ("form", "name", "limit_bytes"))]
    code = code_of("importers", "recorder", "store")
    digest = hashlib.sha256(json.dumps([code, asked], sort_keys=True).encode())
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _imported(
    path: Path, name: str, variant: str | None, fingerprint: str, how: Mapping[str, Any]
) -> str | None:
    """The run of a file that was imported before, with the same options."""
    found: str | None = how["find"](name, variant, fingerprint)
    if found:
        how["say"](f"{path.name}: imported already, with the same content and options")
    return found


def read_file(
    path: Path,
    options: Options,
    *,
    form: str | None = None,
    name: str | None = None,
    variant: str | None = None,
    limit_bytes: float | None = None,
    say: Say | None = None,
    progress: Progress | None = None,
) -> RunData:
    """Turn a file into a run in memory; see :func:`import_file`."""
    say = say or (lambda _: None)
    if _is_capture(path, form):
        check_taken(MEMRAY, options, path)
        with _unpacked(path) as plain, tempfile.TemporaryDirectory(prefix="leaklab-") as folder:
            return memray_capture.in_memory(plain, folder, name, variant, limit_bytes, say)
    reading = read(path, options, form, progress)
    say(f"{path.name}: {reading.title}, {reading.understood}")
    meta = run_meta(reading, name or stem(path), variant, limit_bytes, given=bool(name))
    return in_memory(reading, meta)


def _is_capture(path: Path, form: str | None) -> bool:
    if form is not None and form not in NAMES:
        raise UsageError(f"unknown format: {form}; allowed: {', '.join(NAMES)}")
    check(path)
    return form == MEMRAY or (form is None and memray_capture.recognise(Source(path).head))


def stem(path: Path) -> str:
    """Return the name of a file without its ending, and without that of a gzip before it."""
    return Path(path.stem).stem if path.suffix == ".gz" else path.stem


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The file itself, or what is in it where it is a gzip, for a reader that wants a path."""
    source = Source(path)
    if not source.zipped:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="leaklab-") as folder:
        plain = Path(folder, path.stem)
        with source.open() as packed, plain.open("wb") as out:
            shutil.copyfileobj(packed, out)
        yield plain
