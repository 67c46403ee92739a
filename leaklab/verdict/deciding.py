"""Stop a recording once its verdict is decided: looks at the run in progress now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaklab.verdict.sequential import Decision, Look

# Where nothing bounds the run, this much of it is looked at before the answer is "not decided".
BUDGET_MARKS = 20_000
BUDGET_SECONDS = 3600.0


class Decider:
    """Looks at the run in ``path`` on a schedule that is fixed in advance."""

    def __init__(self, path: str, budget_seconds: float | None) -> None:
        self._path = path
        self._budget_seconds = budget_seconds or BUDGET_SECONDS
        self._looks: list[Look] = []
        self._unit = ""
        self._next_look = 0.0

    def due(self, now: float, mark_count: int) -> bool:
        """Return whether the run has come to its next look."""
        from leaklab.verdict.sequential import first_look

        unit = "iteration" if mark_count else "second"
        if unit != self._unit:
            self._unit, self._looks, self._next_look = unit, [], first_look(unit)
        return (mark_count or now) >= self._next_look

    def look(self, now: float, mark_count: int) -> Decision | None:
        """Judge what was stored so far; returns the decision once there is one."""
        from leaklab.store import open_run
        from leaklab.verdict.sequential import decide

        budget = BUDGET_MARKS if self._unit == "iteration" else self._budget_seconds
        data = open_run(self._path)
        data.meta["state"] = "recording"  # its recorder asks: it did not break off
        decision = decide(
            data,
            self._looks,
            budget=budget,
            unit=self._unit,
            x=float(mark_count or now),
        )
        self._looks.append(decision.look)
        self._next_look = decision.next_look
        return decision if decision.stop else None
