"""Figures as words: amounts and rates with their units, for reasons, reports and figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from leaklab.resources import is_bytes, noun

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.present.protocol import Suspected

BYTE_SCALES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))

# Longer spans than this are told in minutes, hours and days, and rates by the hour or day.
LONG_SECONDS = 1_000.0
_HOUR, _DAY = 3_600.0, 86_400.0
_PACES = ((_DAY, "day"), (_HOUR, "hour"))

# Object graphs from before this share of the work show how it began.
BEGINNING_SHARE = 0.2

# What the files of a notebook's cells are called: "In [4]".
CELL_PREFIX = "In ["

_KEPT = ("interval_seconds", "mark_count", "measured_mark_count", "snapshot_count")
# Samples that are further apart than this are worth a word.
NOTABLE_SECONDS = 1.0
# A target that was held for less has not noticed.
NOTABLE_HELD_SECONDS = 0.1
# What is said of a holder that is little itself.
LITTLE = "little by itself: what leaks may be native memory of these objects"
# How the path begins of what native code holds.
NATIVE = "held by native code"
# Of what lines allocate, for its holder to be called theirs.
MOSTLY = 0.5
# Of all growth: sites below would only distract.
LEAST_SHOWN_SHARE = 0.005


def worth_showing(run: Suspected) -> pd.DataFrame:
    """Return the suspects to show, counted in a further first column: ``number``, from 1.

    None of a heap that is bounded: its sites have stopped. Of one that is not decided those that
    are not decided either, if there are any. Left out is what grows by next to nothing beside the
    others, and what does not leak (it has no share) beside others that do.
    """
    shown = run.suspects()
    heap = run.verdict().resource("heap_bytes", str(shown["role"].iloc[0])) if len(shown) else None
    if heap is not None and heap.verdict == "bounded":
        shown = shown.head(0)
    elif heap is not None and heap.verdict == "inconclusive":
        moving = shown[shown["evidence"] != "stopped"]
        shown = moving if len(moving) else shown
    large = shown[shown["share"] >= LEAST_SHOWN_SHARE]
    shown = (large if len(large) else shown.head(1)).copy()
    shown.insert(0, "number", range(1, len(shown) + 1))
    return shown


def holders_worth_showing(run: Suspected) -> pd.DataFrame:
    """Return the retention paths to show: none that keeps next to nothing of what leaks.

    Beside a heap that leaks, holders of a constant few objects that were made late look as if they
    grew, and so they do in a bounded run, beside what has filled up. Without a verdict on the heap
    all are returned. What piles up may keep next to nothing itself, and much in native memory; a
    further last column says so: is_little.
    """
    paths, verdict = run.retention().assign(is_little=False), run.verdict()
    heaps = [entry for entry in verdict.resources if entry.name == "heap_bytes"]
    if verdict.verdict == "bounded":
        bounded = {entry.role for entry in heaps}
        return paths[[role not in bounded for role in paths["role"]]] if len(paths) else paths
    leaking = [entry for entry in heaps if entry.verdict == "leak"]
    if not leaking or not len(paths):
        return paths
    least = {entry.role: LEAST_SHOWN_SHARE * entry.rate for entry in leaking}
    rates = paths["rate"].astype(float)
    large = ~(rates < paths["role"].map(least).fillna(0.0))
    native = paths["path"].astype(str).str.startswith(NATIVE)
    if (large & ~native).any():
        return paths[large]
    # The objects of a line that leaks, and those of a kind that native code holds more of.
    alike = paths["type"].isin(paths["type"][large & native]) & (paths["growth_count"] > 1)
    shown = large | alike | paths["suspect_rank"].notna()
    return paths.assign(is_little=~large)[shown]


def holder_doubt(path: Mapping[Any, Any], rate: float) -> str:
    """Return what to say before "kept by" of the holder of what lines allocate, given their rate.

    "perhaps " where it is only possible. "in part " where the holder gains less than half of what
    those lines do: it keeps some of their objects, and something else keeps most.
    """
    if path["confidence"] == "low":
        return "perhaps "
    return "in part " if float(path["rate"]) < MOSTLY * rate else ""


def why_no_holder(run: Suspected) -> str:
    """Return in words why no retention path of a run is shown."""
    if len(run.retention()) and run.verdict().verdict == "bounded":
        return "what is held has stopped growing"
    if len(run.retention()):
        return "no holder of what leaks was seen; memory that only C code holds has no path"
    dumps, meta = run.data.graph_dumps, run.data.meta
    complete = dumps[dumps["state"] == "complete"] if len(dumps) else dumps
    count = len(complete)
    if count == 0 and any(event["kind"] == "graphs-unread" for event in meta["events"]):
        return "not measured: the recording was interrupted before an object graph was read"
    if count == 0:
        reasons = dumps["reason"].dropna().tolist() if len(dumps) else []
        if reasons:
            return f"no object graph could be taken: {reasons[-1]}"
        return "no object graph was taken, or the work was too short for one"
    if count == 1:
        return "one object graph was taken; growth shows between two"
    marks = complete["mark"].dropna()
    whole = max((entry.get("mark_count") or 0 for entry in meta["processes"]), default=0)
    if len(marks) == count and marks.max() < BEGINNING_SHARE * whole:
        last = f"the last object graph is of iteration {int(marks.max()):,} of {whole:,}"
        return f"not measured: {last}"
    return f"nothing accumulates from one of {count} object graphs to another"


def amount(name: str, value: float, *, signed: bool = False) -> str:
    """A value of a resource with its unit: "12.3 MiB", "+4 fds"."""
    sign = "+" if signed and value > 0 else ""
    if math.isnan(value):
        return "unknown"
    if is_bytes(name):
        for scale, unit in BYTE_SCALES:
            if abs(value) >= scale:
                return f"{sign}{_figure(value / scale)} {unit}"
        return f"{sign}{_figure(value)} B"
    return f"{sign}{_figure(value)} {noun(name, value)}".rstrip()


def named(name: str, role: str) -> str:
    """What a resource is called in a table: with its role where that is not the main one."""
    return name if role == "main" else f"{name} ({role})"


def common_unit(rows: Iterable[Mapping[Any, Any]]) -> str | None:
    """Return the unit by which all rates of rows of a comparison are told, None where they differ.

    A run without marks is told by seconds, and so are helper processes beside marked ones.
    """
    told = {compared_pace(row, which)[1] for row in rows for which in ("before", "after")}
    told.discard(None)  # one that has no rate has no unit
    return told.pop() if len(told) == 1 else None


def compared_pace(row: Mapping[Any, Any], which: str) -> tuple[float, str | None]:
    """Return what `pace` does for one side of a row of a comparison; no word without a rate.

    Both sides of one unit are told in the same pace, that of the shorter run: told otherwise, they
    cannot be compared by eye.
    """
    unit = row[f"{which}_unit"]
    if not isinstance(unit, str):
        return 1.0, None
    alike = (side for side in ("before", "after") if row[f"{side}_unit"] == unit)
    spans = (row.get(f"{side}_span", 0.0) for side in alike)
    return pace(unit, min((span for span in spans if not math.isnan(span)), default=0.0))


def pace(unit: str, span: float = 0.0) -> tuple[float, str]:
    """Return how many units of x a rate is told by, and the word for it.

    By seconds a run of hours grows by too little each to be read: told by the hour or day.
    """
    if unit == "second" and span > LONG_SECONDS:
        return next((size, word) for size, word in _PACES if span >= size or size == _HOUR)
    return 1.0, unit


def line_text(file: str, line: int) -> str:
    """Where a line is: "app/cache.py:14", in a notebook "In [4], line 5"; "" without a file."""
    if not file or not line:
        return file
    return f"{file}, line {line}" if file.startswith(CELL_PREFIX) else f"{file}:{line}"


def rate_text(name: str, rate: float, unit: str, span: float = 0.0) -> str:
    """ "19.7 KiB per iteration", "1 fd per iteration"; "11.9 MiB per day" for a long span."""
    size, word = pace(unit, span)
    return f"{amount(name, rate * size)} per {word}"


def interval_text(
    name: str, low: float, high: float, unit: str = "iteration", span: float = 0.0
) -> str:
    """ "19.5 KiB to 19.9 KiB"; one figure where both ends read the same, "unknown" for none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "unknown"
    size = pace(unit, span)[0]
    ends = amount(name, low * size), amount(name, high * size)
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def place_text(place: Mapping[str, Any]) -> str:
    """ "load (app.py:14)"; the function alone where no file is known."""
    if not place["file"]:
        return str(place["function"])
    return f"{place['function']} ({line_text(str(place['file']), place['line'])})"


def span_text(length: float, unit: str) -> str:
    """ "200 iterations", "35 seconds", "3.5 hours", "12 days"."""
    if not math.isfinite(length):
        return f"an unknown number of {unit}s"
    if unit == "second" and length > LONG_SECONDS:
        sizes = ((_DAY, "day"), (_HOUR, "hour"), (60.0, "minute"))
        size, unit = next(((size, word) for size, word in sizes if length >= 2 * size))
        length /= size
    figure = f"{math.ceil(length):,}" if unit == "iteration" else three_digits(length)
    return f"{figure} {unit}{'' if figure == '1' else 's'}"


def kept_text(entry: Mapping[str, Any]) -> str:
    """What a long pass has left out: "4,422 of 60,000 marks measured"; empty if nothing."""
    kept = entry.get("kept")
    kept = kept if isinstance(kept, Mapping) else {}
    figures = (kept.get(name) for name in _KEPT)
    interval, marks, measured, snapshots = (
        figure if isinstance(figure, int | float) else 0 for figure in figures
    )
    parts = []
    if measured < marks:
        parts.append(f"{measured:,} of {marks:,} marks measured")
    if entry.get("traced") and snapshots < marks:
        parts.append(f"{snapshots:,} snapshots for {marks:,} marks")
    if interval >= NOTABLE_SECONDS:
        parts.append(f"samples up to {interval:.3g} s apart")
    held_seconds = entry.get("stream_held_seconds")
    if isinstance(held_seconds, int | float) and held_seconds >= NOTABLE_HELD_SECONDS:
        parts.append(f"held for {three_digits(held_seconds)} s until its heap's stream was read")
    return ", ".join(parts)


def _figure(value: float) -> str:
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return three_digits(value)


def three_digits(value: float) -> str:
    """A figure to three digits, or whole: "0.125", "12.3", "1,235"; nothing as 1e+03 or 1e-05."""
    return f"{Decimal(f'{value:.3g}'):f}" if abs(value) < 999.5 else f"{value:,.0f}"
