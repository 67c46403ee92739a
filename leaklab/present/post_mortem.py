"""How a run ended, what its memory did before, and what held what: from what a kill has left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from leaklab.last_words import last_words
from leaklab.present.formatting import span_text
from leaklab.present.terminal import ending_text, has_failed, quantity, safe

if TYPE_CHECKING:
    import pandas as pd

    from leaklab.present.protocol import ShownRun

LAST_SECONDS = 3600.0
HOLDER_COUNT = 10


class ShownResident(Protocol):
    """What is shown of resident memory up to the end (leaklab.findings.ending.Resident)."""

    @property
    def title(self) -> str:
        """Whose."""

    @property
    def figures(self) -> pd.DataFrame:
        """Columns time_seconds and value (bytes)."""

    @property
    def limit(self) -> tuple[float, str] | None:
        """What it counts against, in bytes and by name."""


class ShownGraph(Protocol):
    """What is shown of the last object graph (leaklab.findings.ending.LastGraph)."""

    @property
    def held(self) -> pd.DataFrame:
        """Columns path, type, count and retained_bytes."""

    @property
    def whose(self) -> str:
        """Of which process, or ""."""

    @property
    def missing(self) -> str:
        """Why there is none."""


def post_mortem_text(
    run: ShownRun, resident: Sequence[ShownResident], near: Sequence[str], graph: ShownGraph
) -> str:
    """Return what ``leaklab post-mortem`` prints; ``near``: which other limits were."""
    verdict = run.verdict()
    lines = [f"{safe(run.label)}: {_state(run.meta)}"]
    lines += [f"  {line}" for line in _endings(run.meta)]
    lines += [f"  {line}" for each in resident for line in _memory(each)]
    if not resident:
        lines.append("  resident memory was not measured")
    lines += [f"  {safe(line)}" for line in near]
    lines += ["", f"  verdict: {verdict.verdict}; {safe(verdict.reason)}"]
    left = run.limit_text()
    if left is not None:
        lines.append(f"  {safe(left)}")
    lines.append("")
    if not len(graph.held):
        lines.append(f"  {safe(graph.missing)}")
        return "\n".join(lines)
    whose = f", of {safe(graph.whose)}" if graph.whose else ""
    lines.append(f"  what held most at the last object graph{whose}")
    lines += [
        f"  {safe(row['path'])} ({safe(row['type'])}): {quantity(row['count'])}, "
        f"{quantity(row['retained_bytes'], 'rss_bytes')} retained"
        for row in graph.held.to_dict("records")
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
        ending = ending_text(entry)
        said = last_words(entry.get("stderr_tail")) if has_failed(entry) else ""
        words = f"; its last words: {safe(said)}" if said else ""
        yield f"{safe(entry.get('pass'))} pass: {ending or usual}{words}"


def _memory(resident: ShownResident) -> Iterator[str]:
    known = resident.figures
    end = float(known["time_seconds"].iloc[-1])
    last = known[known["time_seconds"] >= end - LAST_SECONDS]
    first, final = (float(last["value"].iloc[place]) for place in (0, -1))
    peak = float(last["value"].max())
    span = span_text(end - float(last["time_seconds"].iloc[0]), "second")
    yield (
        f"{safe(resident.title)} in the last {span}: {quantity(first, 'rss_bytes')} to "
        f"{quantity(final, 'rss_bytes')}, at most {quantity(peak, 'rss_bytes')}"
    )
    if resident.limit is not None:
        limit, name = resident.limit
        yield f"that is {peak / limit:.0%} of {quantity(limit, 'rss_bytes')} ({safe(name)})"
