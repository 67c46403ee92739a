"""Write a run while it is being recorded, so that a kill at any moment loses next to nothing.

Each table is an Arrow IPC stream to which whole batches are appended with one write each; closing
the run turns the streams into parquet. run.json is replaced atomically whenever it changes.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from leaklab.errors import LeaklabError
from leaklab.store.location import NO_VARIANT, filesystem, is_local, new_run_id, safe_name
from leaklab.store.schema import SCHEMA_VERSION, TABLES
from leaklab.store.upload import Upload, hand_in_abandoned
from leaklab.whole_file import replace_whole

FLUSH_ROW_COUNT = 8192
ROW_GROUP_ROW_COUNT = 1 << 20
# Writing run.json for each event keeps them safe from a kill; past this many (a fork bomb) they
# are written with the next flush instead, or each one would cost as much as all before it.
EVENTS_WRITTEN_AT_ONCE = 200


class RunWriter:
    """Writes one new run folder. Not thread-safe. Never touches a run that exists."""

    def __init__(self, folder: Path, meta: dict[str, Any], upload: Upload | None) -> None:
        self._folder = folder
        self._upload = upload
        self._tables: dict[str, _TableStream] = {}
        self._meta_dirty = False
        self._closed = False
        self.meta = meta
        self.path = upload.url if upload else str(folder)

    @classmethod
    def create(
        cls, store: str | os.PathLike[str], name: str, variant: str | None, meta: Mapping[str, Any]
    ) -> RunWriter:
        """Start the run ``<store>/<name>/<variant>/<new run id>`` in state ``recording``.

        ``store`` is a folder or an fsspec URL. A bucket cannot be appended to, so a run for a URL
        is written in a temporary folder and uploaded when it is closed. Raises LeaklabError when
        the store cannot be written.
        """
        from leaklab.version import __version__

        store = os.fspath(store)
        full = {
            "schema_version": SCHEMA_VERSION,
            "leaklab_version": __version__,
            "run_id": new_run_id(),
            "name": name,
            "variant": variant,
            "state": "recording",
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "passes": [],
            "processes": [],
            "events": [],
            **meta,
        }
        parts = (safe_name(name), safe_name(variant or NO_VARIANT))
        if is_local(store):
            _, root = filesystem(store)
            parent = Path(root, *parts)
            return cls._begun(_new_folder(parent, full), full, None)
        upload = Upload("/".join((store.rstrip("/"), *parts, full["run_id"])))
        try:
            writer = cls._begun(upload.folder, full, upload)
            upload.send()
        except LeaklabError:
            upload.drop()
            raise
        hand_in_abandoned()
        return writer

    @classmethod
    def _begun(cls, folder: Path, meta: dict[str, Any], upload: Upload | None) -> RunWriter:
        writer = cls(folder, meta, upload)
        writer._write_meta()
        return writer

    def append(self, table: str, columns: Mapping[str, Sequence[Any]]) -> None:
        """Add rows to ``table``: equally long lists by column; a column left out is null."""
        if table not in self._tables:
            if table not in TABLES:
                raise LeaklabError(f"unknown table: {table}; allowed: {', '.join(TABLES)}")
            path = self._folder / f"{table}.arrows"
            self._tables[table] = _TableStream(path, TABLES[table])
        self._tables[table].append(columns)

    def flush(self) -> None:
        """Hand everything appended so far to the operating system: a kill cannot lose it."""
        for stream in self._tables.values():
            stream.flush()
        if self._meta_dirty:
            self._write_meta()

    def update(self, **meta: Any) -> None:
        """Change keys of run.json, atomically."""
        self.meta.update(meta)
        self._write_meta()

    def event(
        self, kind: str, text: str, *, time_seconds: float | None = None, **extra: Any
    ) -> None:
        """Note in run.json what happened: ``extra`` is usually ``pass`` and ``process``."""
        event = {"time_seconds": time_seconds, "pass": None, "process": None, **extra}
        self.meta["events"].append({**event, "kind": kind, "text": text})
        if len(self.meta["events"]) <= EVENTS_WRITTEN_AT_ONCE:
            self._write_meta()
        else:
            self._meta_dirty = True

    @property
    def size_bytes(self) -> int:
        """Bytes on disk so far."""
        return sum(stream.size_bytes for stream in self._tables.values())

    def close(self, state: str = "complete") -> None:
        """Compact the tables to parquet and set ``state`` (complete, interrupted or incomplete).

        When the disk is too full to compact, the streams stay and the run opens from them.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.flush()
        finally:
            for stream in self._tables.values():
                stream.close()
        compacted = self._compact()
        self.meta["state"] = state
        self.meta["row_counts"] = {name: t.row_count for name, t in self._tables.items()}
        self._write_meta()
        for stream in compacted:
            stream.path.unlink(missing_ok=True)
        if self._upload is not None:
            self._upload.finish()

    def _compact(self) -> list[_TableStream]:
        compacted = []
        for name, stream in self._tables.items():
            try:
                _to_parquet(stream.path, self._folder / f"{name}.parquet")
            except OSError as error:
                self.event("store", f"{name} kept as a stream: {_reason(error)}")
            else:
                compacted.append(stream)
        return compacted

    def _write_meta(self) -> None:
        text = json.dumps(self.meta, indent=1, default=str, allow_nan=False)
        try:
            replace_whole(self._folder / "run.json", text + "\n")
        except OSError as error:
            raise _store_error(self._folder, error) from None
        self._meta_dirty = False


class _TableStream:
    """One table as an Arrow IPC stream: each batch is written whole, or cut off again."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.row_count = 0
        self.size_bytes = 0
        self._schema = schema
        self._columns: dict[str, list[Any]] = {name: [] for name in schema.names}
        self._pending = 0
        try:
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise _store_error(path.parent, error) from None
        self._write(schema.serialize())

    def append(self, columns: Mapping[str, Sequence[Any]]) -> None:
        unknown = set(columns) - set(self._columns)
        lengths = {len(values) for values in columns.values()}
        if unknown or len(lengths) > 1:
            what = f"column {sorted(unknown)[0]}" if unknown else f"lengths {sorted(lengths)}"
            raise LeaklabError(
                f"rows do not fit table {self.path.stem}: {what}; columns: "
                f"{', '.join(self._columns)}"
            )
        count = lengths.pop() if lengths else 0
        for name, pending in self._columns.items():
            values = columns.get(name)
            pending.extend([None] * count if values is None else values)
        self._pending += count
        if self._pending >= FLUSH_ROW_COUNT:
            self.flush()

    def flush(self) -> None:
        if not self._pending:
            return
        arrays = [
            pa.array(self._columns[field.name], type=field.type, from_pandas=True)
            for field in self._schema
        ]
        self._write(pa.RecordBatch.from_arrays(arrays, schema=self._schema).serialize())
        self.row_count += self._pending
        self._pending = 0
        for values in self._columns.values():
            values.clear()

    def close(self) -> None:
        self._file.close()

    def _write(self, buffer: pa.Buffer) -> None:
        view = memoryview(buffer)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            # A half-written batch would hide everything written after it.
            os.ftruncate(self._file.fileno(), self.size_bytes)
            self._file.seek(self.size_bytes)
            raise _store_error(self.path.parent, error) from None
        self.size_bytes += buffer.size


def _to_parquet(source: Path, target: Path) -> None:
    """Rewrite a stream as parquet in row groups, holding one row group in memory at a time."""
    temporary = target.with_suffix(".parquet.new")
    try:
        with pa.OSFile(str(source), "rb") as file:
            stream = pa.ipc.open_stream(file)
            with pq.ParquetWriter(
                temporary, stream.schema, compression="zstd", use_dictionary=True
            ) as out:
                group: list[pa.RecordBatch] = []
                rows = 0
                while True:
                    batch = _next_batch(stream)
                    if batch is not None:
                        group.append(batch)
                        rows += batch.num_rows
                    if group and (batch is None or rows >= ROW_GROUP_ROW_COUNT):
                        out.write_table(pa.Table.from_batches(group), ROW_GROUP_ROW_COUNT)
                        group, rows = [], 0
                    if batch is None:
                        break
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _next_batch(stream: Any) -> pa.RecordBatch | None:
    try:
        batch: pa.RecordBatch = stream.read_next_batch()
    except StopIteration:
        return None
    return batch


def _new_folder(parent: Path, meta: dict[str, Any]) -> Path:
    for _ in range(10):
        folder = parent / str(meta["run_id"])
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.is_dir():
                break
            meta["run_id"] = new_run_id()
        except OSError as error:
            raise _store_error(parent, error) from None
        else:
            return folder
    raise LeaklabError(f"cannot make a run folder: {parent}; a file is in the way")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _store_error(folder: Path, error: OSError) -> LeaklabError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LeaklabError(
            f"the store is full: {folder}; free some space or name another one with --store"
        )
    return LeaklabError(
        f"cannot write to the store: {folder}; {_reason(error)}; name another one with --store"
    )
