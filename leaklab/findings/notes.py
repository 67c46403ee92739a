"""What to know beside a verdict, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaklab.analysis.interpreters import of_run
from leaklab.findings.stop_gap import stop_gaps
from leaklab.verdict.native import native_growth
from leaklab.verdict.time_left import smallest_limit

if TYPE_CHECKING:
    from leaklab.store import RunData
    from leaklab.verdict.resources import ResourceVerdict


def notes_of(data: RunData, resources: Sequence[ResourceVerdict], *, held: bool) -> list[str]:
    """Return the notes on a run with these verdicts; ``held``: whether a holder was found."""
    meta = data.meta
    gaps = stop_gaps(meta, resources, smallest_limit(meta))
    native = None if held else _native(data)
    return [
        *of_run(meta),
        *([native] if native else []),
        *(f"until it is mended, {gap}" for gap in gaps),
    ]


def _native(data: RunData) -> str | None:
    """Whose memory it is that no Python object was seen to hold; None if a library has no part."""
    function = native_growth(data)
    if function is None:
        return None
    if function:
        return f"what leaks is native memory, taken by {function}: a library may hold it itself"
    what = "what leaks is native memory: a library may hold it itself, without a Python object"
    if data.meta.get("options", {}).get("native"):
        return f"{what}; its functions have no names here"
    return f"{what}; record with --native to see which of its functions took it"
