"""Why a run has no object graph of its end: none was asked for, or what came between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaklab.present.formatting import amount

if TYPE_CHECKING:
    from leaklab.store import RunData

GRAPH_PASSES = ("explain", "graph")
# Kinds of events that say why none could be taken, or was not read; "skipped" is of a whole pass.
_TELLING = ("no object graphs", "graphs-unread")
_SKIPPED = "skipped"


def why_no_graph(data: RunData, nearest: tuple[float, tuple[float, str]] | None) -> str:
    """Return a sentence without its full stop.

    nearest: the highest resident memory that was seen in a pass that takes graphs, in bytes, and
    the limit it counts against.
    """
    share = (data.meta.get("options") or {}).get("graph_at_share")
    if share is None:
        return "no object graph was taken; record with --graph-at 90% to have the last one"
    why = _of_dumps(data) or _of_events(data) or _of_passes(data) or _of_memory(share, nearest)
    return f"no object graph was taken, though --graph-at {100 * share:.4g}% asked for one: {why}"


def _of_dumps(data: RunData) -> str:
    dumps = data.graph_dumps
    reasons = [str(each) for each in dumps["reason"].dropna() if each] if len(dumps) else []
    return reasons[-1] if reasons else ""


def _of_events(data: RunData) -> str:
    events = data.meta.get("events") or ()
    told = [
        str(event.get("text"))
        for event in events
        if event.get("kind") in _TELLING
        or (event.get("kind") == _SKIPPED and event.get("pass") in GRAPH_PASSES)
    ]
    return told[-1] if told else ""


def _of_passes(data: RunData) -> str:
    asked = (data.meta.get("options") or {}).get("passes") or ()
    wanted = [name for name in asked if name in GRAPH_PASSES]
    begun = {one.get("pass") for key in ("passes", "processes") for one in data.meta.get(key) or ()}
    if not wanted or begun & set(wanted):
        return ""
    return f"the run ended before the {wanted[0]} pass, which takes them"


def _of_memory(share: float, nearest: tuple[float, tuple[float, str]] | None) -> str:
    if nearest is None:
        return "what memory came to, or its limit, is not known"
    most, (limit, name) = nearest
    if most < share * limit:
        full = f"{most / limit:.0%} of {amount('rss_bytes', limit)} ({name})"
        return f"memory was seen at {full} at most"
    return "the target ended before one was complete"
