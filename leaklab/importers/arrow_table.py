"""Figures of one's own as pandas or polars keep them: parquet, and feather (files of Arrow)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from leaklab.errors import LeaklabError
from leaklab.importers.columns import TIME_WORDS, named
from leaklab.importers.reading import Options, Reading, Source, refuse
from leaklab.importers.table import read_table
from leaklab.importers.thinned import PART_ROWS, note, thinned

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NAME = "parquet"
_PARQUET, _ARROW = b"PAR1", b"ARROW1"
# What pandas calls an index without a name.
_INDEX = "__index_level_0__"


def recognise(source: Source) -> bool:
    """Return whether the file begins as one of parquet or of Arrow."""
    return source.head.startswith((_PARQUET, _ARROW))


def read(source: Source, options: Options) -> Reading:
    """Read the columns that are known by name, or that the options name."""
    if (source.path.parent / "run.json").exists():
        raise refuse(
            source.path, "a table of a run", f"`leaklab show {source.path.parent}` shows the run"
        )
    import pyarrow as pa

    title = "parquet" if source.head.startswith(_PARQUET) else "feather"
    try:
        with _batches(source) as batches:
            parts = map(_figures, batches)
            frame, step = thinned(parts, options.time, group=options.group)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise LeaklabError(
            f"damaged {title} file: {source.path}; {reason}; copy it again"
        ) from None
    names = [str(name) for name in frame.columns]
    if _INDEX in names:
        new = "index" if named(names, TIME_WORDS) else "time"
        frame = frame.rename(columns={_INDEX: new})
    reading = read_table(frame, options, title=title, path=source.path)
    reading.notes += note(step)
    return reading


@contextmanager
def _batches(source: Source) -> Iterator[Iterator[pa.RecordBatch]]:
    """The rows of a file, part by part: it may be larger than memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with source.open() as file:
        if source.head.startswith(_PARQUET):
            yield pq.ParquetFile(file).iter_batches(PART_ROWS)
        else:
            reader = pa.ipc.open_file(file)
            yield (reader.get_batch(number) for number in range(reader.num_record_batches))


def _figures(batch: pa.RecordBatch) -> pd.DataFrame:
    """Rows with moments as seconds since the epoch, and spans of time as seconds."""
    frame: pd.DataFrame = batch.to_pandas(ignore_metadata=True)
    for place in range(frame.shape[1]):
        column: Any = frame.iloc[:, place]
        if column.dtype.kind in "mM":
            seconds = column.dt.as_unit("ns").astype("int64") / 1e9
            frame.isetitem(place, seconds.where(column.notna()))
    return frame
