"""Holders of two runs side by side: where objects pile up in either, and what is left of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import pandas as pd

from leaklab.analysis.series import HEAP
from leaklab.findings.leak_groups import MATERIAL_BYTES
from leaklab.findings.retention import growth_by_path, retention
from leaklab.resources import material
from leaklab.results.compared_sites import OF_BOTH, OfRun, of_both
from leaklab.results.outcomes import NOT_MEASURED, NOT_THERE, WORSE

if TYPE_CHECKING:
    from leaklab.store import RunData

COLUMNS = ("accumulation_point", "holder_type", "type", *OF_BOTH)


def compared_holders(
    before: RunData, after: RunData, roles: tuple[Collection[str], Collection[str]]
) -> pd.DataFrame:
    """Return what objects pile up in, in either run, by role and path; most bytes per unit first.

    ``roles``: the processes that were there, of both runs.
    """
    sides = [_Holders(data, there) for data, there in zip((before, after), roles, strict=True)]
    rows = []
    for (role, point), grown in (sides[1].grown | sides[0].grown).items():
        old, new = (side.of_run(role, point) for side in sides)
        both = of_both(old, new, role)
        # So little makes no heap worse: a few objects that wait for the collector, say.
        later = sides[1].grown.get((role, point), {"growth_bytes": 0})
        if both["outcome"] == WORSE and later["growth_bytes"] < material(HEAP):
            continue
        named = {"accumulation_point": point, "holder_type": grown["holder_type"]}
        rows.append({**named, "type": grown["type"], **both})
    rows.sort(key=lambda row: -max(row["before_rate"], row["after_rate"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


class _Holders:
    """What piles up where in one run."""

    def __init__(self, data: RunData, there: Collection[str]) -> None:
        self._data, self._there = data, there
        self._paths: dict[str, Any] = {}
        rows = retention(data).to_dict("records")
        self.grown = {(str(row["role"]), str(row["accumulation_point"])): row for row in rows}

    def of_run(self, role: str, point: str) -> OfRun:
        """What the run says of a holder: of one in which nothing piles up, what it gained."""
        row = self.grown.get((role, point))
        if row is not None:
            return OfRun(float(row["rate"]), "", str(row["unit"]))
        if role not in self._paths:
            self._paths[role] = growth_by_path(self._data, role=role)
        if self._paths[role] is None:
            return OfRun(float("nan"), NOT_MEASURED if role in self._there else NOT_THERE)
        table, (begin, end), unit = self._paths[role]
        gained = float(table.loc[table["path"] == point, "growth_bytes"].sum())
        return OfRun(gained / (end - begin) if gained >= MATERIAL_BYTES else 0.0, "", unit)
