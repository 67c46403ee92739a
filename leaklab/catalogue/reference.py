"""Small recorded pairs, one a mechanism: what notebooks can show where nothing can be recorded.

``python -m leaklab.catalogue.reference FILE.zip [MECHANISM…]`` records them
(``data/reference.zip``, a store in one file). They are ordinary runs without a trace of the machine
that made them: file names are relative as in every run, and what run.json holds of commands and
folders is reduced to names. Of the object graphs only what grows or holds much is kept, with what
leads to it; of heaps, those that are marked.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from leaklab.catalogue.model import case
from leaklab.errors import LeaklabError, UsageError

SIZE_LIMIT_BYTES = 5_000_000
RETAINED_BYTES = 16_384  # a node of the object graphs that holds less and does not grow is left out
COMPRESSION_LEVEL = 19
NUMBER_TABLES = ("stacks", "frames", "heap")  # mostly ascending numbers: differences pack well


class Pair(NamedTuple):
    """The variants of one case that show a mechanism at work and cured."""

    case: str
    before: str
    after: str


PAIRS = {
    "unpruned-json": Pair("unpruned-json", "before", "better_fix"),
    "unbounded-caches": Pair("unbounded-cache", "before", "better_fix"),
    "size-and-eviction": Pair("eviction-cost", "documented_fix", "better_fix"),
    "ttl-stores": Pair("idempotency-store", "before", "better_fix"),
    "http-clients": Pair("http-clients", "before", "better_fix"),
    "database-sessions": Pair("pool-without-putconn", "before", "better_fix"),
    "schedulers-and-timers": Pair("lingering-schedulers", "before", "documented_fix"),
    "threads-and-tasks": Pair("cleanup-task-shutdown", "before", "documented_fix"),
    "workers": Pair("celery-parent-only", "before", "better_fix"),
    "garbage-collection": Pair("gc-tuning", "disabled", "control"),
    "memory-not-returned": Pair("memory-not-returned", "large_pinned", "large_trimmed"),
    "what-tests-miss": Pair("tracemalloc-test", "small_answers", "lru"),
}


def record_references(archive: Path, mechanisms: Sequence[str]) -> int:
    """Record the pairs of these mechanisms into the store ``archive``; returns its size in bytes.

    A pair replaces the one that is there once both of its runs are made. Raises `LeaklabError` when
    the store becomes larger than it may; the archive is then left as it was.
    """
    with tempfile.TemporaryDirectory() as unpacked:
        folder = Path(unpacked)
        if archive.exists():
            shutil.unpack_archive(archive, folder)
        size_bytes = _record_into(folder, mechanisms)
        _pack(folder, archive)
    return size_bytes


def _pack(folder: Path, archive: Path) -> None:
    """Write what is in the folder into one file, in one order and without times: no idle change."""
    whole = archive.with_suffix(".partial")
    with zipfile.ZipFile(whole, "w") as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            method = zipfile.ZIP_DEFLATED if path.suffix == ".json" else zipfile.ZIP_STORED
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            file.writestr(entry, path.read_bytes(), compress_type=method)
    whole.replace(archive)


def _record_into(folder: Path, mechanisms: Sequence[str]) -> int:
    for mechanism in mechanisms:
        pair = PAIRS[mechanism]
        with tempfile.TemporaryDirectory() as scratch:
            for variant in pair[1:]:
                print(f"{pair.case} {variant}", file=sys.stderr)
                run = case(pair.case).record(variant, quick=True, store=scratch)
                _make_portable(Path(run.path))
                _leave_out_heaps(Path(run.path))
                _reduce_paths(Path(run.path) / "paths.parquet")
                for table in NUMBER_TABLES:
                    _pack_numbers(Path(run.path) / f"{table}.parquet")
            shutil.rmtree(folder / pair.case, ignore_errors=True)
            shutil.copytree(Path(scratch) / pair.case, folder / pair.case)
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*"))
    if size_bytes > SIZE_LIMIT_BYTES:
        raise LeaklabError(
            f"reference runs too large: {size_bytes} bytes; at most {SIZE_LIMIT_BYTES}"
        )
    return size_bytes


def _make_portable(run: Path) -> None:
    """Reduce the absolute paths in run.json to file names; drop the cached verdict."""
    (run / "verdict.json").unlink(missing_ok=True)
    path = run / "run.json"
    meta = _without_folders(json.loads(path.read_text(encoding="utf-8")))
    for record in meta["passes"]:
        record["stdout_tail"] = record["stderr_tail"] = ""
    path.write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if isinstance(value, str):
        # An absolute path, alone or within a text (not the path of a URL), keeps its last name.
        return re.sub(r"(?<![\w:/.])/(?:[^\s'\",:]+/)+([^\s'\",:/]+)", r"\1", value)
    return value


def _leave_out_heaps(run: Path) -> None:
    """Leave out the heaps of processes that end no mark: beside those that do, they decide nothing.

    The parent of a prefork server has all that was imported: most of the stacks of the run.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    processes = json.loads((run / "run.json").read_text(encoding="utf-8"))["processes"]
    marking = [entry["process"] for entry in processes if entry["mark_count"]]
    if not marking or not (run / "heap.parquet").exists():
        return

    def keep(name: str, column: str, wanted: list[int]) -> pa.Table:
        path = run / f"{name}.parquet"
        table = pq.read_table(path)
        values = pa.array(wanted, table.schema.field(column).type)
        table = table.filter(pc.is_in(table[column], values))
        pq.write_table(table, path)
        return table

    keep("snapshots", "process", marking)
    heap = keep("heap", "process", marking)
    stacks = keep("stacks", "stack_id", heap["stack_id"].unique().to_pylist())
    keep("frames", "frame_id", pc.list_flatten(stacks["frame_ids"]).unique().to_pylist())


def _reduce_paths(table: Path) -> None:
    """Leave out of the object graphs what neither grows nor holds much."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not table.exists():
        return
    schema = pq.read_schema(table)
    nodes = pd.read_parquet(table)
    tree = ["process", "dump", "tree"]
    over_dumps = nodes.groupby(["process", "tree", "kind", "path"], dropna=False)["count"]
    changed = (over_dumps.transform("nunique") > 1) | (
        over_dumps.transform("size")
        != nodes.groupby(["process", "tree"])["dump"].transform("nunique")
    )
    wanted = changed | (nodes["retained_bytes"] >= RETAINED_BYTES)
    keys = pd.MultiIndex.from_frame(nodes[[*tree, "node"]])
    parents = pd.MultiIndex.from_frame(nodes[[*tree, "parent"]])
    while True:
        with_ancestors = wanted | keys.isin(parents[wanted])
        if with_ancestors.equals(wanted):
            break
        wanted = with_ancestors
    kept = nodes[wanted].copy()
    new = kept.groupby(tree).cumcount()
    numbers = pd.Series(new.to_numpy(), index=keys[wanted])
    kept["parent"] = numbers.reindex(parents[wanted]).fillna(-1).astype(int).to_numpy()
    kept["node"] = new
    pq.write_table(
        pa.Table.from_pandas(kept, schema=schema, preserve_index=False),
        table,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
    )


def _pack_numbers(path: Path) -> None:
    """Write a table again with its whole numbers as differences: half the size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        return
    table = pq.read_table(path)
    numbers = [field.name for field in table.schema if pa.types.is_integer(field.type)]
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=COMPRESSION_LEVEL,
        use_dictionary=[name for name in table.column_names if name not in numbers],
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
    )


def main(arguments: list[str]) -> None:
    """The command line: the folder of the store, then mechanisms (none: all)."""
    if not arguments:
        raise UsageError("no archive; give one, e.g. data/reference.zip")
    archive, mechanisms = Path(arguments[0]), arguments[1:] or list(PAIRS)
    for name in mechanisms:
        if name not in PAIRS:
            raise UsageError(f"unknown mechanism: {name}; allowed: {', '.join(PAIRS)}")
    size_bytes = record_references(archive, mechanisms)
    print(f"{2 * len(mechanisms)} runs recorded; {archive} holds {size_bytes} bytes")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LeaklabError as error:
        sys.exit(f"leaklab: {error}")
