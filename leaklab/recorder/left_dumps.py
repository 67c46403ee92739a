"""The object graphs that a recorder has left unread because it was killed with its target."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from leaklab.errors import LeaklabError
from leaklab.recorder.graph import dump_outcome

if TYPE_CHECKING:
    import pandas as pd

PATTERN = "graph-*.dump"


def left_dump(path: str | None) -> pd.DataFrame | None:
    """Return what held what at the last whole object graph in a run's folder; None without one.

    Columns path, type, count and retained_bytes, most retained first. Recordings with
    ``--graph-at`` keep their graphs there until they are read.
    """
    from leaklab.object_graph.file import read_dump
    from leaklab.object_graph.tables import dump_tables

    files = Path(path).glob(PATTERN) if path and "://" not in path else ()
    for file in sorted(files, key=lambda one: one.stat().st_mtime, reverse=True):
        with contextlib.suppress(LeaklabError, OSError, ValueError):
            if dump_outcome(file)["status"] == "complete":
                table = dump_tables(read_dump(file), with_dominators=False)["paths"]
                table = table[table["kind"] != "leaklab"]
                return table.sort_values("retained_bytes", ascending=False, kind="stable")
    return None
