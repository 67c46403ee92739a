"""How often a test is called at each look, and whether what was seen is enough."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leaklab.pytest_plugin.child import Amount
from leaklab.pytest_plugin.outcome import INCONCLUSIVE, LEAK, Outcome
from leaklab.resources import material

if TYPE_CHECKING:
    from leaklab.results.run import Run

# Where nobody says how often: the first look. Starting an interpreter takes about the seconds.
FIRST_LOOK = Amount(60, 200, 0.75)
# What leaks at the first look has to leak at the second as well: a queue or a cache that fills
# looks straight at first.
SECOND_LOOK = Amount(120, 400, 2.0)
# What is rare (one call in a hundred) or small still rises at the end of the first look and is
# bounded: it takes more calls, which cost less than another interpreter.
LONGEST_LOOK = Amount(120, 1600, 4.0)
# An undecided test is looked at once more, with as many units as would decide it up to this.
MOST_UNITS = 400
# Pools of small objects inside the interpreter fill for hundreds of calls, by less than this each.
SMALL_OBJECT_BYTES = 128.0
# Below this share of the pace of the look before growth has slowed down.
LOWER_PACE = 0.75


@dataclass(frozen=True)
class Look:
    """What calls of a test's body showed: the run, what it comes to, their processor time."""

    run: Run
    outcome: Outcome
    seconds: float

    @property
    def units(self) -> int:
        """How many calls."""
        return self.outcome.units

    def next_units(self, amount: Amount) -> int:
        """Return how many calls the next look takes, by what these took; never fewer."""
        affordable = int(amount.seconds * self.units / max(self.seconds, 1e-3))
        wanted = max(amount.units, 2 * self.units, affordable)
        return max(min(wanted, amount.most_units), self.units)

    def units_to_confirm(self, amount: Amount) -> int:
        """Return how many calls have to show a leak of this look again: at least twice as many.

        With a fixed seed the same calls show the same again, and what fills looks straight for
        as long as it fills.
        """
        return max(self.next_units(amount), 2 * self.units)


def still_rising(run: Run, *, materially: bool = False) -> bool:
    """Return whether anything ended above all that was seen of it in the first half of the run.

    ``materially``: by so much that it matters for a whole run.
    """
    for entry in run.verdict().resources:
        # A leak in a run that is none is allowed: how far that goes has been asked already.
        if not entry.decides or entry.role != "main" or entry.verdict == LEAK:
            continue
        values = run.series(entry.name)["value"].to_numpy()
        least = material(entry.name) if materially else 0.0
        if len(values) and values[-1] > values[: (len(values) + 1) // 2].max() + least:
            return True
    return False


def slowed(first: Outcome, run: Run) -> bool:
    """Return whether all that grew in the first look came at a lower pace after as many calls.

    A cache that the first look just filled rises in the first half of the second, and then perhaps
    by a table that grows late.
    """
    paces = []
    for entry in first.grown:
        if entry.role != "main" or not entry.rate > 0:
            continue
        series = run.series(entry.resource)
        later = series[series["x"] >= first.units]
        if series.attrs["unit"] == "iteration" and len(later) > 1:
            gained, calls = (later[name].iloc[-1] - later[name].iloc[0] for name in ("value", "x"))
            paces.append(gained / calls / entry.rate if calls > 0 else 1.0)
    return bool(paces and max(paces) < LOWER_PACE)


def needs_the_longest(first: Look, second: Look) -> bool:
    """Return whether a leak of the first look is still to be seen after as many calls again.

    A line that grows below what the sum shows: the last hundred of something rise and fall so by
    chance. Less than a small object or two per call: pools of them fill for hundreds of calls, in
    the interpreter and in libraries (numpy keeps up to seven blocks of each size). What slowed
    down. And what the second look did not decide, though the sum showed it in the first: memory
    that comes by the megabyte, say.
    """
    if second.outcome.verdict == INCONCLUSIVE:
        return not _small_in_the_sum(first.outcome)
    if second.outcome.verdict != LEAK:
        return False
    small = _small_in_the_sum(second.outcome) or _small_per_call(second.outcome)
    return small or slowed(first.outcome, second.run)


def _small_in_the_sum(outcome: Outcome) -> bool:
    """Whether nothing grows but memory, and that by less than its sum could tell from nothing."""
    return all(entry.resource == "heap_bytes" and not entry.low > 0 for entry in outcome.grown)


def _small_per_call(outcome: Outcome) -> bool:
    """Whether nothing grows but memory, and that by what pools of small objects may take."""
    return all(
        entry.resource.endswith("_bytes") and entry.rate < SMALL_OBJECT_BYTES
        for entry in outcome.grown
    )


def rare(outcome: Outcome) -> Outcome:
    """Return a bounded outcome as inconclusive: something rose at the end of the longest look."""
    return _undecided(
        outcome,
        "something rose in the second half of the calls, too seldom to say whether it goes on",
    )


def ever_slower(outcome: Outcome) -> Outcome:
    """Return a leak as inconclusive: the longest look brought less per call than the one before."""
    names = ", ".join(dict.fromkeys(entry.resource for entry in outcome.grown))
    return _undecided(outcome, f"{names} grew less per call with every look")


def _undecided(outcome: Outcome, reason: str) -> Outcome:
    return replace(
        outcome,
        verdict=INCONCLUSIVE,
        grown=(),
        sites=(),
        needed_units=4 * outcome.units,
        power="",
        reason=reason,
    )
