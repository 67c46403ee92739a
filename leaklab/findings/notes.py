"""What to know beside a verdict, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaklab.analysis.interpreters import of_run
from leaklab.analysis.series import HEAP
from leaklab.findings.stop_gap import stop_gaps
from leaklab.present.choices import growing_role
from leaklab.verdict.limits import smallest_limit
from leaklab.verdict.native import native_growth, told_apart
from leaklab.verdict.resources import LEAK
from leaklab.verdict.time_left import duration_text

if TYPE_CHECKING:
    from leaklab.store import RunData
    from leaklab.verdict.resources import ResourceVerdict

# A traced pass that takes so many times as long as the untraced one is worth a word.
NOTABLY_SLOWER = 1.25


def notes_of(data: RunData, resources: Sequence[ResourceVerdict], *, held: bool) -> list[str]:
    """Return the notes on a run with these verdicts; ``held``: whether a holder was found."""
    meta = data.meta
    role = growing_role(resources, "rss_bytes")
    gaps = stop_gaps(meta, resources, smallest_limit(meta, role))
    native = None if held else _native(data)
    return [
        *of_run(meta),
        *filter(None, (native, _slower(meta, resources))),
        *(f"until it is mended, {gap}" for gap in gaps),
    ]


def _slower(meta: dict[str, Any], resources: Sequence[ResourceVerdict]) -> str | None:
    """Why a heap that leaks by the second grows more slowly than what was measured untraced; None
    where it doesn't, or where neither pass shows how long the work takes."""
    by_second = any(
        one.name == HEAP and one.verdict == LEAK and one.unit == "second" for one in resources
    )
    passes = {row.get("pass"): row for row in meta.get("passes") or ()}
    measured, traced = passes.get("measure"), passes.get("explain")
    if not by_second or measured is None or traced is None:
        return None
    if any(row.get("stopped_by") not in (None, "drive") for row in (measured, traced)):
        return None
    untraced_seconds, seconds = (
        float(row.get("duration_seconds") or 0.0) for row in (measured, traced)
    )
    if not 0 < NOTABLY_SLOWER * untraced_seconds < seconds:
        return None
    return (
        f"the explain pass took {duration_text(seconds)} for what the measure pass did in "
        f"{duration_text(untraced_seconds)}: figures per second of the heap, its lines and its "
        "holders are lower by as much"
    )


def _native(data: RunData) -> str | None:
    """Whose memory it is that nothing was seen to hold; None if a library has no part in it."""
    function = native_growth(data)
    if function is None:
        return None
    if not function and not told_apart(data):
        return (
            "what leaks may be native memory of a library, or Python's own large bytes, bytearrays "
            "or strings: they were not told apart; record with `leaklab record`, which does"
        )
    if function:
        return f"what leaks is native memory, taken by {function}: a library may hold it itself"
    # An object that is no container, such as an array, is in no graph: it may hold it all the same.
    what = "what leaks is native memory, and no holder was found: a library may hold it itself"
    if data.meta.get("options", {}).get("native"):
        return f"{what}; its functions have no names here"
    return f"{what}; record with --native to see which of its functions took it"
