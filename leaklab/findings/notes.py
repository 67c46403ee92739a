"""What to know beside a verdict, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaklab.analysis.interpreters import of_run
from leaklab.findings.stop_gap import stop_gaps
from leaklab.present.choices import growing_role
from leaklab.verdict.limits import smallest_limit
from leaklab.verdict.native import native_growth, told_apart

if TYPE_CHECKING:
    from leaklab.store import RunData
    from leaklab.verdict.resources import ResourceVerdict


def notes_of(data: RunData, resources: Sequence[ResourceVerdict], *, held: bool) -> list[str]:
    """Return the notes on a run with these verdicts; ``held``: whether a holder was found."""
    meta = data.meta
    role = growing_role(resources, "rss_bytes")
    gaps = stop_gaps(meta, resources, smallest_limit(meta, role))
    native = None if held else _native(data)
    return [
        *of_run(meta),
        *([native] if native else []),
        *(f"until it is mended, {gap}" for gap in gaps),
    ]


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
