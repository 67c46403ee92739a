"""Where it grows, as text for a terminal: lines that allocate, calls that open, what retains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import (
    LITTLE,
    holder_doubt,
    holders_worth_showing,
    line_text,
    span_text,
    why_no_holder,
    worth_showing,
)
from leaklab.present.terminal import has_failed, quantity, safe
from leaklab.resources import noun

if TYPE_CHECKING:
    from leaklab.present.protocol import ShownRun

SHOWN_SUSPECT_COUNT = 5
SHOWN_PART_COUNT = 3
SHOWN_CALLER_COUNT = 3
SHOWN_HOLDER_COUNT = 3
SHOWN_PATH_COUNT = 5
SHOWN_ORIGIN_COUNT = 5
SHOWN_LIVE_COUNT = 5
# Of a long path so many steps at its beginning and at its end.
SHOWN_END_COUNT = 3
_ARROW = " → "
LEAST_ORIGIN_SHARE = 0.05

Row = Mapping[Any, Any]


def place_text(row: Row) -> str:
    """Return function, file and line of a row: ``load  app.py:14``; only what is known of them."""
    function, file, line = (row.get(name) for name in ("function", "file", "line"))
    if not isinstance(function, str):
        return "where it was made is not known"
    if not isinstance(file, str) or not file:
        return safe(function)
    known = isinstance(line, int | float) and math.isfinite(line) and line > 0
    return f"{safe(function)}  {safe(line_text(file, int(line) if known and line else 0))}"


def suspect_lines(run: ShownRun) -> Iterator[str]:
    """Yield the lines that allocate what stays: one row a leak, with its parts below it.

    Where it is not decided whether it does, they are called so.
    """
    suspects = worth_showing(run)
    if not len(suspects):
        return
    heap = run.verdict().resource("heap_bytes", str(suspects["role"].iloc[0]))
    leaks = _by_group(suspects.to_dict("records"))[:SHOWN_SUSPECT_COUNT]
    paths = holders_worth_showing(run).to_dict("records")
    yield ""
    if heap is not None and heap.verdict != "leak":
        yield "  candidates: where what grew is allocated; whether it goes on is not decided"
    else:
        yield "  suspects: where what stays is allocated"
    for parts in leaks:
        yield from _leak_lines(parts, paths)


def one_look_lines(run: ShownRun) -> Iterator[str]:
    """Yield the lines that had asked for most, where the heap was looked at once: no rate is known,
    and how much each held is all the more worth knowing of a target that failed so soon."""
    if len(run.suspects()) or not len(run.data.snapshots):
        return
    heap = run.heap(by="line", limit=SHOWN_LIVE_COUNT)
    if heap["x"].nunique() != 1:
        return
    after = span_text(float(heap["time_seconds"].iloc[0]), "second")
    yield ""
    yield f"  live heap: looked at once, after {after}, so how it grows is not known"
    for number, row in enumerate(heap.to_dict("records"), start=1):
        if row["live_bytes"] > 0:
            yield f"  {number}. {place_text(row)}  {quantity(row['live_bytes'], 'heap_bytes')} live"


def _by_group(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one leak together, in the order of their first, which is the largest."""
    leaks: dict[int, list[Row]] = {}
    for row in rows:
        group = row.get("group")
        first = int(group["rank"]) if isinstance(group, Mapping) else int(row["rank"])
        leaks.setdefault(first, []).append(row)
    return list(leaks.values())


def _leak_lines(parts: Sequence[Row], paths: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of one leak. Each line has its own number and figures, as in the figure, on
    the page and in the JSON; the sum of all parts stands below them."""
    row = parts[0]
    per = row.get("unit") or "iteration"
    yield (
        f"  {row['number']}. {place_text(row)}  {quantity(row['rate'], 'heap_bytes')}/{per}, "
        f"{quantity(row['live_bytes'], 'heap_bytes')} live{_share_text(parts[:1])}"
    )
    yield from _source_lines(row)
    for part in parts[1 : 1 + SHOWN_PART_COUNT]:
        rate = quantity(part["rate"], "heap_bytes")
        yield f"     with {part['number']}. {place_text(part)}  {rate}/{per}"
    if len(parts) > 1 + SHOWN_PART_COUNT:
        yield f"     with {len(parts) - 1 - SHOWN_PART_COUNT} more lines reached through one call"
    if len(parts) > 1:
        rate = quantity(sum(part["rate"] for part in parts), "heap_bytes")
        yield f"     together {rate}/{per}{_share_text(parts)}"
    for name in ("known", "note"):
        if isinstance(row.get(name), str):
            yield f"     {name}: {safe(row[name])}"
    yield from _holder_lines(parts, paths)
    yield from _caller_lines(row)


def _share_text(parts: Sequence[Row]) -> str:
    shares = [part["share"] for part in parts if _is_number(part["share"])]
    return f", {sum(shares):.0%} of the growth" if shares else ""


def _holder_lines(parts: Sequence[Row], paths: Sequence[Row]) -> Iterator[str]:
    """Yield what keeps it alive; what is only possible is called so."""
    rates = {(part["role"], int(part["rank"])): float(part["rate"]) for part in parts}
    shown = 0
    for path in paths:
        mine = {(path["role"], int(rank)) for rank in path["suspect_ranks"]} & rates.keys()
        if mine and shown < SHOWN_HOLDER_COUNT:
            shown += 1
            doubt = holder_doubt(path, sum(rates[key] for key in mine))
            yield f"     {doubt}kept by {path_text(path['path'])}"


def holder_text(row: Mapping[Any, Any]) -> str:
    """Return what objects pile up in, and which: ``app.CACHE (dict) holds app.Page``."""
    of = "" if row["role"] == "main" else f" of {safe(row['role'])}"
    held = f"({safe(row['holder_type'])}) holds {safe(row['type'])}"
    return f"{path_text(row['accumulation_point'])} {held}{of}"


def objects_text(row: Mapping[Any, Any]) -> str:
    """Return how many objects of which type: ``135 × bytes``, which is no size."""
    return f"{quantity(row['count'])} × {safe(row['type'])}"


def path_text(path: object) -> str:
    """Return a retention path for a sentence that says already that something is held.

    Of a long one (a chain of iterators, say) where it begins and where it ends.

    >>> path_text("held by app.PIPE" + " → map" * 12 + " → list item → Row")
    'app.PIPE → map → map → … 9 more … → map → list item → Row'
    """
    steps = safe(str(path).removeprefix("held by ")).split(_ARROW)
    left = len(steps) - 2 * SHOWN_END_COUNT
    if left > 1:
        steps[SHOWN_END_COUNT:-SHOWN_END_COUNT] = [f"… {left} more …"]
    return _ARROW.join(steps)


def _caller_lines(row: Row) -> Iterator[str]:
    """Yield who called the row's own line; what that line calls is no news, unless it is the
    outermost: a line that runs an event loop says nothing of what the loop does."""
    places = [place_text(frame).replace("  ", " ") for frame in row.get("stack") or ()]
    own = place_text(row).replace("  ", " ")
    at = places.index(own) if own in places else 0
    if places[at + 1 :]:
        yield f"     called from {' < '.join(places[at + 1 :][:SHOWN_CALLER_COUNT])}"
    elif at:
        yield f"     allocated in {' < '.join(places[:at][:SHOWN_CALLER_COUNT])}"


def _source_lines(row: Row) -> Iterator[str]:
    if isinstance(row.get("source"), str) and row["source"].strip():
        yield f"     | {safe(row['source'].strip())}"


def origin_lines(run: ShownRun) -> Iterator[str]:
    """Yield the lines that made what is counted and leaks: descriptors, threads, tasks, children.

    Only of resources whose verdict is a leak.
    """
    leaking = {(r.name, r.role) for r in run.verdict().resources if r.verdict == "leak"}
    # A socket is a descriptor, and told among them.
    leaking |= {("fd_count", role) for name, role in leaking if name == "socket_count"}
    rows = [
        row
        for row in run.origins().to_dict("records")
        if (row["resource"], row["role"]) in leaking and row["share"] >= LEAST_ORIGIN_SHARE
    ]
    if not rows:
        return
    yield ""
    yield "  origins: which call made what stays"
    for number, row in enumerate(rows[:SHOWN_ORIGIN_COUNT], start=1):
        yield from _origin_lines(number, row)


def _origin_lines(number: int, row: Row) -> Iterator[str]:
    what = _kind_text(row)
    yield (
        f"  {number}. {place_text(row)}  {quantity(row['rate'])} {what}/{row['unit']}, "
        f"{quantity(row['count'])} there, {row['share']:.0%} of the new "
        f"{noun(row['resource'])}"
    )
    yield from _source_lines(row)
    if row["how"] == "alike":
        yield "     perhaps: other lines open a file of that name too"
    elif row["how"] == "runs":
        made = "what the thread runs" if row["kind"] == "thread" else "where the task waits"
        yield f"     {made}; which call made it is not known"
    if isinstance(row.get("subject"), str) and row["subject"]:
        yield f"     one of them: {safe(row['subject'])}"
    yield from _caller_lines(row)


def _kind_text(row: Row) -> str:
    kind = safe(row["kind"])
    one = _is_number(row["rate"]) and row["rate"] == 1
    if kind == "child":
        return "child" if one else "children"
    return kind if one else f"{kind}s"


def retention_lines(run: ShownRun) -> Iterator[str]:
    """Yield what keeps alive what grows: holder, how many more, how large, and the path to them."""
    paths = holders_worth_showing(run).head(SHOWN_PATH_COUNT).to_dict("records")
    if not paths:
        if run.verdict().verdict == "bounded":
            return
        dumps = run.data.graph_dumps
        complete = len(dumps) and (dumps["state"] == "complete").any()
        if len(run.retention()) or (len(dumps) and not complete):
            yield ""
            yield f"  retained by: {why_no_holder(run)}"
        elif complete and any(map(has_failed, run.meta["passes"])):
            yield ""
            yield f"  what held most when it failed: leaklab post-mortem {safe(run.path or 'RUN')}"
        return
    yield ""
    yield "  retained by: what keeps it alive"
    for row in paths:
        per = (
            "" if row["rate"] is None else f", {quantity(row['rate'], 'heap_bytes')}/{row['unit']}"
        )
        held = (
            f"holds {objects_text(row)}: {quantity(row['growth_count'])} more"
            if row["growth_count"]
            else "has become larger"  # itself: it is its own holder
        )
        yield (
            f"  {path_text(row['accumulation_point'])} ({safe(row['holder_type'])}) {held}, "
            f"{quantity(row['retained_bytes'], 'heap_bytes')} retained{per}"
        )
        if row["growth_count"]:
            yield f"     as {path_text(row['path'])}"
        if row["is_little"]:
            yield f"     {LITTLE}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
