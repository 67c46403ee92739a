"""Suspects: the allocation sites whose live bytes keep growing after the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.analysis.sites import USER_ORIGINS, Sites, site_fingerprint
from leaklab.present.formatting import amount
from leaklab.verdict.heap_study import HeapStudy, SiteGrowth, study_heap
from leaklab.verdict.known import known_growers
from leaklab.verdict.reservations import reserved_bytes
from leaklab.verdict.suspect_groups import calls_to, groups

if TYPE_CHECKING:
    from leaklab.store import RunData

COLUMNS = (
    "rank",
    "function",
    "file",
    "line",
    "stack",
    "live_bytes",
    "growth_bytes",
    "rate",
    "rate_low",
    "rate_high",
    "unit",
    "share",
    "evidence",
    "fingerprint",
    "known",
    "note",
    "role",
    "retained_by",
    "group",
)


def suspects(
    data: RunData,
    *,
    role: str = "main",
    limit: int = 20,
    user_origins: tuple[str, ...] = USER_ORIGINS,
) -> pd.DataFrame:
    """Sites whose live bytes grew after the baseline, those that keep growing first.

    Columns: rank (from 1), function, file, line, stack (list of {function, file, line}, most
    recent call first), live_bytes (at the last snapshot), growth_bytes (since the baseline), rate
    with rate_low and rate_high (bytes per unit), unit, share (of the rates of leaking sites
    together; NaN for one that does not leak beside others that do; where none leaks, of what all
    growing ones gained), evidence (grows, stopped, undecided), fingerprint,
    known (why the growth is expected, or None), note (what to be careful about, or None), role,
    retained_by (filled by the retention analysis), group (of sites that belong to one leak: the
    rank of the first and the call they share, {rank, function, file, line}; None for a site that
    stands alone). Empty where no heap was recorded.
    """
    study = study_heap(data, role=role, user_origins=user_origins)
    return suspects_table(data, study, limit=limit)


def suspects_table(data: RunData, study: HeapStudy | None, *, limit: int = 20) -> pd.DataFrame:
    """The table of :func:`suspects` from a study that was already made."""
    if study is None:
        return pd.DataFrame({name: [] for name in COLUMNS})
    reserved = reserved_bytes(data, study)
    leaking = study.leaking
    # What is only reserved is no growth of the heap, unless ever more of it is.
    counted = leaking or [entry for entry in study.growing if entry.site not in reserved]
    # Each leaking site has a warm-up of its own, after which it gains; what they are ranked by, and
    # what goes on, is their rates.
    parts = {id(entry): entry.growth.rate if leaking else entry.gain for entry in counted}
    whole = sum(part for part in parts.values() if part > 0)
    shown = study.growing[:limit]
    rows = []
    for entry in shown:
        row = _row(study, entry)
        row["share"] = parts.get(id(entry), float("nan")) / whole if whole else float("nan")
        if entry.site in reserved:
            row["note"] = (
                f"{amount('heap_bytes', reserved[entry.site])} of it is address space that was "
                "reserved and is hardly used: resident memory did not follow"
            )
        rows.append(row)
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["rank"] = np.arange(1, len(frame) + 1)
    frame["role"] = study.role
    # Where nothing leaks, what grows a little has nothing in common.
    among = [entry for entry in shown if leaking and id(entry) in parts]
    frame["group"] = pd.Series(_grouped(study, among, len(shown)), dtype=object)
    return frame


def _grouped(
    study: HeapStudy, leaking: list[SiteGrowth], count: int
) -> list[dict[str, Any] | None]:
    """The group of each row; leaking sites come first."""
    calls = [calls_to(study.sites, one.site, _largest_stack(study, one)) for one in leaking]
    found = groups(calls, [one.growth.rate for one in leaking])
    rows: list[dict[str, Any] | None] = [
        None
        if group is None
        else {"rank": group[0] + 1} | dict(zip(("function", "file", "line"), group[1], strict=True))
        for group in found
    ]
    return rows + [None] * (count - len(rows))


def site_series(data: RunData, fingerprint: str, *, role: str = "main") -> pd.DataFrame:
    """Live bytes over the snapshots (columns x, live_bytes) of the suspects with a fingerprint."""
    study = study_heap(data, role=role)
    if study is None:
        return pd.DataFrame({"x": [], "live_bytes": []})
    mine = [
        entry.live
        for entry in study.growing
        if site_fingerprint(study.sites, _largest_stack(study, entry), entry.site) == fingerprint
    ]
    live = np.sum(mine, axis=0) if mine else np.zeros(study.timeline.column_count)
    return pd.DataFrame({"x": study.timeline.x, "live_bytes": live})


def _largest_stack(study: HeapStudy, entry: SiteGrowth) -> int:
    """The stack of the site that holds most at the end: it stands for the site."""
    members = np.flatnonzero(study.sites.of_stack == entry.site)
    live = study.timeline.live(study.timeline.column_count - 1)
    return int(members[np.argmax(live[members])])


def _row(study: HeapStudy, entry: SiteGrowth) -> dict[str, Any]:
    sites = study.sites
    stack = _largest_stack(study, entry)
    known = known_growers()[entry.known] if entry.known >= 0 else None
    return {
        **describe(sites, int(sites.frame[entry.site])),
        "stack": [describe(sites, int(row)) for row in sites.rows(stack)],
        "live_bytes": int(entry.live[-1]),
        "growth_bytes": int(entry.gain),
        "rate": entry.growth.rate,
        "rate_low": entry.growth.rate_low,
        "rate_high": entry.growth.rate_high,
        "unit": entry.growth.unit,
        "evidence": entry.evidence.verdict,
        "fingerprint": site_fingerprint(sites, stack, entry.site),
        "known": f"{known.name}: {known.reason}" if known else None,
        "note": _note(study, entry),
        "retained_by": [],
    }


def _note(study: HeapStudy, entry: SiteGrowth) -> str | None:
    notes = [
        study.window_count is not None
        and f"sampled: estimated from {study.window_count} windows of tracing; what is freed "
        "outside of them is not seen",
        int(study.sites.frame[entry.site]) < 0
        and (THREADS_NOTE if study.of_threads else NO_FRAME_NOTE),
        free_list_note(entry),
    ]
    return "; ".join(note for note in notes if note) or None


THREADS_NOTE = "what each thread takes for itself before it runs any code; threads pile up"
NO_FRAME_NOTE = (
    "no Python code was running in that thread: a library's own thread took it, or the interpreter "
    "itself"
)


# Sizes of objects that CPython keeps in free lists, with their collector header (3.9-3.14).
FREE_LIST_SIZES = {64: "dict", 56: "list", 24: "float"}
# Tuples of so many are as large as one of those, and recycled too.
_TUPLES_ALIKE = {64: "three", 56: "two"}


def free_list_note(entry: SiteGrowth) -> str | None:
    """A warning where the growth may belong to another line.

    CPython reuses dict, list, tuple and float objects through free lists without telling the
    tracer: an object that leaks can be charged to the line that allocated and freed one before it.
    """
    if entry.count_growth < 1:
        return None
    size = round(entry.gain / entry.count_growth)
    kind = FREE_LIST_SIZES.get(size)
    if kind is None:
        return None
    alike = f" or tuples of {_TUPLES_ALIKE[size]}" if size in _TUPLES_ALIKE else ""
    return (
        f"these are {kind} objects{alike}, which CPython recycles: another line that makes such "
        "an object may be the one that keeps it"
    )


def describe(sites: Sites, row: int) -> dict[str, Any]:
    """Function, file and line of a frame row; of a stack without frames, that it has none."""
    if row < 0:
        return {"function": "(no Python frame)", "file": "", "line": 0}
    frames = sites.frames
    return {
        "function": str(frames["function"].iat[row]),
        "file": str(frames["file"].iat[row]),
        "line": int(frames["line"].iloc[row]),
    }
