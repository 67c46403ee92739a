"""Which rows of holders are told: piles before single objects, and a pile of threads once."""

from __future__ import annotations

from typing import Any

# A leak adds objects at every step of the work; a few more over a whole run are something else.
LEAST_PER_UNIT = 0.05


def once_a_thread(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave the frame that gained most of those that came together: threads of one name that pile
    up bring one of each function they are in.
    """
    most: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: -row["growth_bytes"]):
        thread, named, _ = row["path"].rpartition(": ")
        frame = named and row["_kind"] == "thread" and row["path"] == row["accumulation_point"]
        key = (thread, row["growth_count"]) if frame else (row["path"], row["fingerprint"])
        most.setdefault(key, row)
    return list(most.values())


def beside_what_piles_up(rows: list[dict[str, Any]], span: float) -> list[dict[str, Any]]:
    """Put one object more, which is no pile, behind what gained several; of many units none.

    Seconds say nothing of how much work there was.
    """
    if not any(row["growth_count"] != 1 and not row["_weak"] for row in rows):
        return rows
    for row in rows:
        row["_weak"] |= row["growth_count"] == 1
    many = span * LEAST_PER_UNIT > 1
    return [row for row in rows if row["growth_count"] != 1 or row["unit"] == "second" or not many]
