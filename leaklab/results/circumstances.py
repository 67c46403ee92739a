"""How a run that is compared came about: its state, and how each of its passes ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from leaklab.present.terminal import ending_text
from leaklab.verdict.failures import mark_count, target_failure

if TYPE_CHECKING:
    from leaklab.store import RunData
    from leaklab.verdict.judge import Verdict

_ENDING = ("exit_status", "signal", "out_of_memory", "stopped_by", "duration_seconds")


def circumstances(data: RunData, verdict: Verdict) -> dict[str, Any]:
    """Return name, variant, state, verdict, reason, failure (how the target failed of itself, or
    None) and passes of a run: of each its name, mark_count and how it ended."""
    meta = data.meta
    return {
        "name": meta.get("name"),
        "variant": meta.get("variant"),
        "state": meta.get("state"),
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "failure": target_failure(data),
        "passes": [
            {
                "pass": entry.get("pass"),
                "mark_count": mark_count(meta, str(entry.get("pass"))),
                **{name: entry.get(name) for name in _ENDING},
            }
            for entry in meta.get("passes") or ()
        ],
    }


def circumstances_text(found: Mapping[str, Any]) -> str:
    """Return the circumstances in one line: ``day/fix, complete (measure: 300 marks)``."""
    name, variant = found["name"], found["variant"]
    label = f"{name}/{variant}" if variant else str(name)
    passes = [(str(entry["pass"]), _ended(entry)) for entry in found["passes"]]
    told = any(ended for _, ended in passes)
    words = (f"{pass_}: {ended}" if ended else pass_ for pass_, ended in passes)
    return f"{label}, {found['state']} ({('; ' if told else ', ').join(words) or 'no passes'})"


def _ended(entry: Mapping[str, Any]) -> str:
    """How far a pass has come, and what was out of the ordinary at its end."""
    count = entry["mark_count"]
    marks = f"{count:,} mark{'' if count == 1 else 's'}" if count else ""
    return ", ".join(filter(None, (marks, ending_text(entry))))
