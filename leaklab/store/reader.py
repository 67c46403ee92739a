"""Open a recorded run: what a finished recording wrote, or what a killed one left."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from leaklab.errors import LeaklabError
from leaklab.store.location import filesystem
from leaklab.store.schema import SCHEMA_VERSION, TABLES

_LISTS = ("passes", "processes", "events")
_MAPS = ("command", "parameters", "options", "platform", "versions", "environment", "limits")


@dataclass(frozen=True, eq=False)
class RunData:
    """One run: ``meta`` (run.json) and its tables, read when first asked for.

    Each table is a pandas DataFrame with the columns of :mod:`leaklab.store.schema`; a table that
    was not recorded is empty. ``path`` is the run's folder or URL, None for one made in memory.
    """

    meta: dict[str, Any]
    path: str | None
    _load: Callable[[str], pa.Table] = field(repr=False)
    _frames: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    _named: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    @classmethod
    def from_tables(cls, meta: dict[str, Any], **frames: pd.DataFrame) -> RunData:
        """Build a run in memory from DataFrames; missing columns are filled with null."""
        unknown = sorted(set(frames) - set(TABLES))
        if unknown:
            raise LeaklabError(f"unknown table: {unknown[0]}; allowed: {', '.join(TABLES)}")
        tables = {name: _conform(name, pa.table(dict(frame))) for name, frame in frames.items()}
        return cls(_with_defaults(dict(meta)), None, lambda name: tables.get(name, _empty(name)))

    def arrow(self, name: str) -> pa.Table:
        """Read table ``name`` as a pyarrow Table, for those that need less memory than pandas."""
        return self._load(name)

    def table(self, name: str) -> pd.DataFrame:
        """Return table ``name`` as a DataFrame (shared: pandas copies it when it is changed)."""
        if name not in self._frames:
            self._frames[name] = self._load(name).to_pandas()
        return self._frames[name].copy(deep=False)

    @property
    def samples(self) -> pd.DataFrame:
        """Figures of processes over time, one row per figure."""
        return self.table("samples")

    def samples_of(self, name: str) -> pd.DataFrame:
        """Return the samples of one name (shared): all names are told apart in one go."""
        samples = self.samples
        if not self._named:
            groups = samples.groupby("name", sort=False)
            self._named.update((str(one), rows) for one, rows in groups)
        return self._named.get(name, samples.iloc[:0]).copy(deep=False)

    @property
    def labels(self) -> pd.DataFrame:
        """Units of work by label that ended between two marks."""
        return self.table("labels")

    @property
    def snapshots(self) -> pd.DataFrame:
        """Snapshots of the live heap, one row each."""
        return self.table("snapshots")

    @property
    def heap(self) -> pd.DataFrame:
        """Live bytes per stack and snapshot, changes only."""
        return self.table("heap")

    @property
    def stacks(self) -> pd.DataFrame:
        """Allocation stacks as lists of frame ids, most recent call first."""
        return self.table("stacks")

    @property
    def frames(self) -> pd.DataFrame:
        """Stack frames: function, file, line, origin."""
        return self.table("frames")

    @property
    def sources(self) -> pd.DataFrame:
        """Text of the target's source lines that occur in stacks."""
        return self.table("sources")

    @property
    def origins(self) -> pd.DataFrame:
        """Which calls made the descriptors, threads, children and tasks that were there."""
        return self.table("origins")

    @property
    def graph_dumps(self) -> pd.DataFrame:
        """Object graph dumps, one row each."""
        return self.table("graph_dumps")

    @property
    def objects(self) -> pd.DataFrame:
        """Objects by type and dump."""
        return self.table("objects")

    @property
    def bounds(self) -> pd.DataFrame:
        """Containers that hold so many at most, by dump, and how many they hold."""
        return self.table("bounds")

    @property
    def paths(self) -> pd.DataFrame:
        """Retention paths by dump."""
        return self.table("paths")


def open_run(path: str) -> RunData:
    """Open the run in folder or URL ``path``.

    A run that was not closed (its recorder was killed, or is still at work) opens with what it
    had, up to the last whole batch, and ``meta["state"]`` is ``incomplete``; it is ``failed`` where
    a notebook's cell has raised. Raises LeaklabError for a folder that holds no run, a damaged one,
    or one written by a newer leaklab.
    """
    fs, folder = _folder(str(path))
    meta = _read_meta(fs, folder, str(path))
    if meta.get("state") not in ("complete", "interrupted", "failed"):
        meta["state"] = "incomplete"
    data = RunData(
        meta=meta,
        path=str(path),
        _load=lambda name: _read_table(fs, folder, name, meta, str(path)),
    )
    if meta["state"] == "incomplete":
        _count_marks(data)
    return data


def _count_marks(data: RunData) -> None:
    """Let each process have the marks that are stored: run.json is behind where nobody closed it.

    By it no marks were ever seen, if its recorder was killed before it wrote of the first.
    """
    for name in ("samples", "snapshots"):
        with contextlib.suppress(LeaklabError):  # whoever asks for that table is told
            last = data.table(name).groupby("process")["mark"].max().dropna()
            for entry in data.meta["processes"]:
                stored = int(last.get(entry.get("process"), 0))
                entry["mark_count"] = max(entry.get("mark_count") or 0, stored)


class _LocalFolder:
    """What a reader needs of a file system, for a folder of this machine: fsspec takes long."""

    @staticmethod
    def open(path: str, mode: str) -> Any:
        """Open a file."""
        return Path(path).open(mode)


def _folder(path: str) -> tuple[Any, str]:
    if Path(path).is_dir():
        return _LocalFolder(), str(Path(path).absolute())
    fs, folder = filesystem(path)
    return fs, folder.rstrip("/")


def _read_meta(fs: Any, folder: str, shown: str) -> dict[str, Any]:
    try:
        with fs.open(f"{folder}/run.json", "rb") as file:
            meta = json.loads(file.read().decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise LeaklabError(
            f"not a run: {shown}; expected a folder with run.json, as `leaklab record` prints it"
        ) from None
    except (ValueError, OSError) as error:
        raise LeaklabError(f"damaged run: {shown}; run.json cannot be read: {error}") from None
    version = meta.get("schema_version") if isinstance(meta, dict) else None
    if not isinstance(version, int):
        raise LeaklabError(f"not a run: {shown}; its run.json was not written by leaklab")
    if version > SCHEMA_VERSION:
        raise LeaklabError(
            f"run from a newer leaklab: {shown} has schema {version}, this one reads up to "
            f"{SCHEMA_VERSION}; upgrade leaklab"
        )
    return _with_defaults(meta)


def _with_defaults(meta: dict[str, Any]) -> dict[str, Any]:
    """Fill in what readers rely on, so that a foreign or old run.json cannot trip them."""
    for key in _LISTS:
        if not isinstance(meta.get(key), list):
            meta[key] = []
    for key in _MAPS:
        if not isinstance(meta.get(key), dict):
            meta[key] = {}
    meta.setdefault("schema_version", SCHEMA_VERSION)
    meta.setdefault("run_id", "in-memory")
    meta.setdefault("name", "unnamed")
    meta.setdefault("variant", None)
    meta.setdefault("state", "complete")
    meta.setdefault("case", None)
    return meta


def _empty(name: str) -> pa.Table:
    return TABLES[name].empty_table() if name in TABLES else pa.table({})


def _conform(name: str, table: pa.Table) -> pa.Table:
    """Give ``table`` the columns and types of the schema; a column it lacks is null."""
    schema = TABLES[name]
    unknown = sorted(set(table.column_names) - set(schema.names))
    if unknown:
        raise LeaklabError(
            f"unknown column in table {name}: {unknown[0]}; allowed: {', '.join(schema.names)}"
        )
    columns = []
    for wanted in schema:
        if wanted.name in table.column_names:
            columns.append(table.column(wanted.name).cast(wanted.type))
        else:
            columns.append(pa.nulls(table.num_rows, wanted.type))
    return pa.table(columns, schema=schema)


def _read_table(fs: Any, folder: str, name: str, meta: dict[str, Any], shown: str) -> pa.Table:
    for suffix, read in ((".parquet", _read_parquet), (".arrows", read_stream)):
        try:
            with fs.open(f"{folder}/{name}{suffix}", "rb") as file:
                table = read(file)
        except FileNotFoundError:
            continue
        except (pa.ArrowException, OSError, MemoryError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise LeaklabError(
                f"damaged run: {shown}; {name}{suffix} cannot be read: {reason}"
            ) from None
        columns = [column for column in table.column_names if column in TABLES[name].names]
        return _conform(name, table.select(columns)) if table.num_rows else _empty(name)
    if (meta.get("row_counts") or {}).get(name):
        raise LeaklabError(f"damaged run: {shown}; {name}.parquet is missing")
    return _empty(name)


def _read_parquet(file: Any) -> pa.Table:
    # Not from the file itself: Arrow's threads would read it through Python, and at the end of the
    # interpreter they abort the process now and then (apache/arrow#34314, #50482).
    # Nor by read_table, which loads all of pyarrow.dataset for it.
    return pq.ParquetFile(pa.BufferReader(file.read())).read()


def read_stream(file: Any) -> pa.Table:
    """Read an Arrow IPC stream up to its last whole batch: a killed writer leaves a cut tail."""
    batches: list[pa.RecordBatch] = []
    try:
        stream = pa.ipc.open_stream(file)
    except (pa.ArrowException, OSError):
        return pa.table({})
    while True:
        try:
            batches.append(stream.read_next_batch())
        except (StopIteration, pa.ArrowException, OSError, MemoryError):
            return pa.Table.from_batches(batches, schema=stream.schema)
