"""Files as runs: what ``leaklab import``, ``show`` and ``compare`` and ``ll.read`` do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.errors import UsageError
from leaklab.importers import memray_capture, tracemalloc_dumps
from leaklab.importers.reading import Options, Source
from leaklab.importers.registry import MEMRAY, NAMES, check, read
from leaklab.importers.run import in_memory, run_meta, stored

if TYPE_CHECKING:
    from leaklab.store import RunData

Say = Callable[[str], None]


def import_files(paths: Sequence[Path], options: Options, **how: Any) -> Iterator[str]:
    """Turn files into runs and yield their folders; see :func:`import_file` for ``how``.

    Dumps of tracemalloc are one run together; the files memray wrote for forked children belong to
    their parent's. All files are looked at before the first run is written.
    """
    for path in paths:
        check(path)
    dumps = [path for path in paths if _is_dump(path, how["form"])]
    if dumps:
        reading = tracemalloc_dumps.read_all(dumps, options)
        how["say"](f"{dumps[0].name}: {reading.title}, {reading.understood}")
        name = how["name"] or stem(dumps[0])
        meta = run_meta(reading, name, how["variant"], None, given=bool(how["name"]))
        yield stored(reading, meta, how["store"])
    children = {
        path for path in paths if path.suffix[1:].isdecimal() and path.with_suffix("") in paths
    }
    for path in paths:
        if path not in dumps and path not in children:
            yield import_file(path, options, **how)


def _is_dump(path: Path, form: str | None) -> bool:
    if form is not None:
        return form == tracemalloc_dumps.NAME
    return bool(tracemalloc_dumps.recognise(Source(path)))


def import_file(
    path: Path,
    options: Options,
    *,
    form: str | None,
    name: str | None,
    variant: str | None,
    limit_bytes: float | None,
    store: str,
    say: Say,
) -> str:
    """Turn a file into a run of ``store`` and return its folder.

    ``say`` is told in one line what was understood. Raises UsageError for a file that is not read,
    naming what it is and what to do; LeaklabError for one that is damaged.
    """
    if _is_capture(path, form):
        with _unpacked(path) as plain:
            return memray_capture.stored(plain, store, name, variant, limit_bytes, say)
    reading = read(path, options, form)
    say(f"{path.name}: {reading.title}, {reading.understood}")
    meta = run_meta(reading, name or stem(path), variant, limit_bytes, given=bool(name))
    return stored(reading, meta, store)


def read_file(
    path: Path,
    options: Options,
    *,
    form: str | None = None,
    name: str | None = None,
    variant: str | None = None,
    limit_bytes: float | None = None,
    say: Say | None = None,
) -> RunData:
    """Turn a file into a run in memory; see :func:`import_file`."""
    say = say or (lambda _: None)
    if _is_capture(path, form):
        with _unpacked(path) as plain, tempfile.TemporaryDirectory(prefix="leaklab-") as folder:
            return memray_capture.in_memory(plain, folder, name, variant, limit_bytes, say)
    reading = read(path, options, form)
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
