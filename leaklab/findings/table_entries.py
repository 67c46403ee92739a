"""Entries of a table, before there were so many of them that the path nodes call them entries.

A few values under textual keys are fields, a path node each (``CACHE[one]``), and too small to be
told, most often; of a large table they are one node (``CACHE → dict value``). What has become the
one from the other has not come from nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from leaklab.object_graph.paths import MOST_FIELDS

_FIELD, _ENTRY = "[", "value"


def as_entries(paths: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the path nodes of all dumps with fields told as the entries that they have become.

    table: the path nodes of the last dump, each with its parent's row number. renamed (a further
    column): which ones these are.
    """
    prints = table["fingerprint"].astype(object).to_numpy()
    parent = table["parent"].to_numpy(dtype=np.int64)
    above = [prints[row] if row >= 0 else None for row in parent.tolist()]
    named = zip(above, table["step"].astype(str), table["type"].astype(str), strict=True)
    known = dict(zip(named, prints.tolist(), strict=True))
    entries = {key[0] for key in known if key[1] == _ENTRY}
    found = paths["fingerprint"].astype(object).to_numpy(copy=True)
    for dump in paths["dump"].unique():
        rows = np.flatnonzero((paths["dump"] == dump).to_numpy())
        _rename(paths.iloc[rows], found, rows, known, entries)
    renamed = found != paths["fingerprint"].astype(object).to_numpy()
    return paths.assign(fingerprint=found, renamed=renamed)


def _rename(
    nodes: pd.DataFrame,
    found: np.ndarray,
    rows: np.ndarray,
    known: dict[tuple[Any, str, str], str],
    entries: set[Any],
) -> None:
    """Write into ``found`` what the path nodes of one dump, parents first, are called in the last.

    known: fingerprints there by that of the parent, step and type; entries: parents of entries.
    """
    place = dict(zip(nodes["node"].tolist(), rows.tolist(), strict=True))
    moved: set[int] = set()
    columns = (nodes["parent"].tolist(), nodes["step"].astype(str), nodes["type"].astype(str))
    for row, parent, step, type_ in zip(rows.tolist(), *columns, strict=True):
        above = place.get(parent, -1)
        if above < 0:
            continue
        is_entry = step.startswith(_FIELD) and found[above] in entries
        if not is_entry and above not in moved:
            continue
        same = known.get((found[above], step, type_))
        new = same or (known.get((found[above], _ENTRY, type_)) if is_entry else None)
        if new is not None and new != found[row]:
            found[row] = new
            moved.add(row)


def add_untold(
    figures: dict[str, np.ndarray], paths: pd.DataFrame, table: pd.DataFrame, numbers: list[int]
) -> None:
    """Add to the figures (a row a path node, a column a dump) what entries were too small to tell.

    Their table's retained bytes hold them: what none of its other path nodes does is theirs, and
    each is as large as it is now.
    """
    parent = table["parent"].to_numpy(dtype=np.int64)
    is_entry = (table["step"].astype(str) == _ENTRY).to_numpy() & (parent >= 0)
    is_entry &= figures["count"][:, -1] > 0
    below: dict[int, list[int]] = {}
    for row, above in enumerate(parent.tolist()):
        below.setdefault(above, []).append(row)
    retained, shallow = figures["retained_bytes"], figures["shallow_bytes"]
    for column, dump in enumerate(numbers[:-1]):
        nodes = paths[paths["dump"] == dump]
        were_entries = table["fingerprint"].isin(nodes["fingerprint"][~nodes["renamed"]])
        new = np.flatnonzero(is_entry & ~were_entries.to_numpy())
        new = new[figures["count"][parent[new], column] > 0]
        if not len(new):
            continue
        told = _told_below(nodes)
        for table_row in np.unique(parent[new]).tolist():
            entries = new[parent[new] == table_row]
            name = str(table["fingerprint"].iat[table_row])
            untold = retained[table_row, column] - shallow[table_row, column] - told.get(name, 0.0)
            now = float(retained[entries, -1].sum())
            share = max(0.0, untold) / now if now else 0.0
            for entry in entries.tolist():
                count = figures["count"][entry, -1]
                most = max(0.0, MOST_FIELDS - figures["count"][entry, column])
                before = min(most, np.floor(share * count + 0.5))
                part = _below(entry, below)
                for values in figures.values():
                    values[part, column] += np.round(values[part, -1] * before / count)


def _told_below(nodes: pd.DataFrame) -> dict[str, float]:
    """Return what the path nodes below each one of a dump retain, by its fingerprint."""
    names = dict(zip(nodes["node"], nodes["fingerprint"], strict=True))
    above = nodes["parent"].map(names)
    sums = nodes["retained_bytes"].astype(float).groupby(above.astype(object)).sum()
    return {str(name): float(value) for name, value in sums.items()}


def _below(node: int, below: dict[int, list[int]]) -> list[int]:
    """Return a path node and all below it."""
    found = [node]
    for one in found:
        found += below.get(one, [])
    return found
