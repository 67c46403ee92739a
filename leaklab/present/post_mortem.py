"""How a run ended, what its memory did before, and what held what: from what a kill has left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from leaklab.present.formatting import span_text
from leaklab.present.terminal import ending_text, quantity, safe

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.present.protocol import ShownRun

LAST_SECONDS = 3600.0
HOLDER_COUNT = 10


def post_mortem_text(
    run: ShownRun,
    resident: pd.DataFrame,
    limit: tuple[float, str] | None,
    held: pd.DataFrame,
) -> str:
    """Return what ``leaklab post-mortem`` prints.

    resident: columns time_seconds and value (bytes), resident memory of the main role. limit: the
    smallest memory limit in bytes and its name. held: columns path, type, count and retained_bytes,
    what held most at the last object graph.
    """
    verdict = run.verdict()
    lines = [f"{safe(run.label)}: {_state(run.meta)}"]
    lines += [f"  {line}" for line in _endings(run.meta)]
    lines += [f"  {line}" for line in _memory(resident, limit)]
    lines += ["", f"  verdict: {verdict.verdict}; {safe(verdict.reason)}"]
    left = run.limit_text()
    if left is not None:
        lines.append(f"  {safe(left)}")
    lines.append("")
    if not len(held):
        lines.append("  no object graph was taken; record with --graph-at 90% to have the last one")
        return "\n".join(lines)
    lines.append("  what held most at the last object graph")
    lines += [
        f"  {safe(row['path'])} ({safe(row['type'])}): {quantity(row['count'])}, "
        f"{quantity(row['retained_bytes'], 'rss_bytes')} retained"
        for row in held.head(HOLDER_COUNT).to_dict("records")
    ]
    return "\n".join(lines)


def _state(meta: dict[str, Any]) -> str:
    if meta.get("state") == "incomplete":
        return "its recorder was killed, or is still at work; this is what was stored"
    return f"the recording is {safe(meta.get('state'))}"


def _endings(meta: dict[str, Any]) -> Iterator[str]:
    for entry in meta.get("passes", ()):
        seen = entry.get("exit_status") is not None
        usual = "the target ended with exit status 0" if seen else "how it ended was not seen"
        yield f"{safe(entry.get('pass'))} pass: {ending_text(entry) or usual}"


def _memory(resident: pd.DataFrame, limit: tuple[float, str] | None) -> Iterator[str]:
    known = resident.dropna(subset=["value"]) if len(resident) else resident
    if not len(known):
        yield "resident memory was not measured"
        return
    end = float(known["time_seconds"].iloc[-1])
    last = known[known["time_seconds"] >= end - LAST_SECONDS]
    first, final = (float(last["value"].iloc[place]) for place in (0, -1))
    peak = float(last["value"].max())
    span = span_text(end - float(last["time_seconds"].iloc[0]), "second")
    yield (
        f"resident memory in the last {span}: {quantity(first, 'rss_bytes')} to "
        f"{quantity(final, 'rss_bytes')}, at most {quantity(peak, 'rss_bytes')}"
    )
    if limit is not None:
        share = peak / limit[0]
        yield f"that is {share:.0%} of {quantity(limit[0], 'rss_bytes')} ({safe(limit[1])})"
