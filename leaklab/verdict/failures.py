"""What decides nothing: a load that failed, a target that did before there was enough to judge."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leaklab.last_words import last_words
from leaklab.present.formatting import span_text
from leaklab.resources import is_bytes
from leaklab.verdict.lives_told import HELPER_SECONDS
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, ResourceVerdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from leaklab.store import RunData

LOAD_FAILED = "the load failed"
NOTHING_MEASURED = "nothing was measured"
NOT_AT_WORK = "did not grow, but most of the time the target did nothing"
# A target without marks that failed sooner had imported, and done no work yet.
IMPORT_SECONDS = 2.0
# Who ends by these was asked to, which is no failure; a shell tells of it in its exit status.
ASKED_TO_END = ("SIGTERM", "SIGINT", "SIGHUP")
ASKED_STATUSES = frozenset(128 + signal.Signals[name] for name in ASKED_TO_END)
# Idle for this share of a pass that others have ended, and no shorter than that, it hung or waited.
IDLE_SHARE = 0.5
IDLE_SECONDS = 2.0
# Who ends a pass by these cannot know whether the target was still at work.
ENDED_FROM_OUTSIDE = ("interrupt", "duration")
# A line of the target's is quoted up to this many characters.
QUOTED_LENGTH = 300
# So much of a run stands for all of it: a target that fails after less of what it did before has
# failed in another way.
AS_FAR_SHARE = 0.9


@dataclass(frozen=True)
class Failure:
    """How a target failed of itself in one pass, how far it had come, and its last line."""

    pass_: str
    how: str
    duration_seconds: float
    mark_count: int
    said: str

    def text(self, after: str = "") -> str:
        """Return it in words; ``after``: how far it had come, if not to be told in seconds."""
        after = after or span_text(self.duration_seconds, "second")
        said = f": {self.said}" if self.said else ""
        return f"the target {self.how} after {after}{said}"


def load_failure(data: RunData) -> str | None:
    """Return why the load (``--drive``) did not do what it was to, None where it did."""
    for event in data.meta.get("events") or ():
        if event.get("kind") == "drive":
            return str(event.get("text"))
    return None


def target_failure(data: RunData) -> str | None:
    """Return how the target failed of itself, with its last line on stderr; None where it did not.

    >>> target_failure(run.data)
    "the target failed with exit status 1 after 0.06 seconds: ModuleNotFoundError: No module …"
    """
    first = next(_failures(data), None)
    return _cell_failure(data) if first is None else first.text()


def _cell_failure(data: RunData) -> str | None:
    """A cell's kernel lives on when it raises: no pass of it has an exit status."""
    if data.meta.get("state") != "failed":
        return None
    events = data.meta.get("events") or ()
    return next((str(one.get("text")) for one in events if one.get("kind") == "cell"), None)


def new_failure(before: RunData, after: RunData) -> str | None:
    """Return how the target failed in ``after`` as it did not in ``before``; None where it did not.

    A target that always ends so, after as much work, has done the same in both.

    >>> new_failure(before.data, after.data)
    "the target failed with exit status 1 after 251 of 300 marks: RuntimeError: no more"
    """
    earlier = list(_failures(before))
    had = {str(entry.get("pass")) for entry in before.meta.get("passes") or ()}
    for failure in _failures(after):
        # Where the earlier run had another pass only, that one tells how the target ends.
        alike = [
            one
            for one in earlier
            if one.how == failure.how
            and (one.pass_ == failure.pass_ or failure.pass_ not in had)
            and failure.mark_count >= AS_FAR_SHARE * one.mark_count
        ]
        if not alike:
            return failure.text(_marks_text(failure, before.meta))
    return None


def _marks_text(failure: Failure, before: dict[str, Any]) -> str:
    """How far it had come, in marks, of as many as there were before; "" where none were told."""
    whole = mark_count(before, failure.pass_) or 0
    if whole > failure.mark_count:
        return f"{failure.mark_count:,} of {whole:,} marks"
    return f"{failure.mark_count:,} marks" if failure.mark_count else ""


def mark_count(meta: dict[str, Any], pass_: str) -> int | None:
    """Return how many marks the processes of a pass have told; None where nobody counted."""
    counts = [
        entry["mark_count"]
        for entry in meta.get("processes") or ()
        if entry.get("pass") == pass_ and entry.get("mark_count") is not None
    ]
    return sum(counts) if counts else None


def _failures(data: RunData) -> Iterator[Failure]:
    for entry in data.meta.get("passes") or ():
        how = _how(entry)
        # What was stopped (by a limit, say) was ended by the recorder.
        if how is not None and not entry.get("stopped_by"):
            pass_ = str(entry.get("pass"))
            yield Failure(
                pass_=pass_,
                how=how,
                duration_seconds=float(entry.get("duration_seconds") or 0.0),
                mark_count=mark_count(data.meta, pass_) or 0,
                said=last_words(entry.get("stderr_tail"))[:QUOTED_LENGTH],
            )


def idleness(data: RunData) -> str | None:
    """Return for how long the target had done nothing when its pass was ended, None where it had.

    Nothing: no count of any of its processes had changed, processor time among them (memory is
    taken from an idle process by the kernel, and tells only where nothing else was recorded).
    Where marks tell what was done they are judged by, whatever came after the last.

    >>> idleness(run.data)
    "the target had done nothing for 58 of its 60 seconds when it was stopped: it hung, or waited"
    """
    if _has_marked(data):
        return None
    for entry in data.meta.get("passes") or ():
        if entry.get("stopped_by") not in ENDED_FROM_OUTSIDE:
            continue
        samples = data.samples[data.samples["pass"] == entry["pass"]]
        end = _stopped_seconds(data, entry["pass"])
        samples = samples[samples["time_seconds"] <= end]
        counted = [name for name in samples["name"].unique() if not is_bytes(name)]
        counts = samples[samples["name"].isin(counted)]
        samples = counts if len(counts) else samples
        changed = samples.groupby(["process", "name"])["value"].diff().fillna(0.0) != 0
        last = samples["time_seconds"][changed].max() if changed.any() else 0.0
        idle = end - last
        if idle > max(IDLE_SECONDS, IDLE_SHARE * end):
            return (
                f"the target had done nothing for the last {idle:.3g} of its {end:.3g} seconds "
                "when it was stopped: it hung, or waited for work"
            )
    return None


def _stopped_seconds(data: RunData, pass_: str) -> float:
    for event in data.meta.get("events") or ():
        if event.get("kind") == "stop" and event.get("pass") == pass_:
            return float(event["time_seconds"])
    return float(data.samples[data.samples["pass"] == pass_]["time_seconds"].max())


def undecided_by(resources: Sequence[ResourceVerdict], data: RunData) -> list[ResourceVerdict]:
    """Return the verdicts with those inconclusive that a failure leaves undecided."""
    if load_failure(data) is not None:
        return [
            replace(entry, verdict=INCONCLUSIVE, why=LOAD_FAILED, more_x=0.0) for entry in resources
        ]
    if idleness(data) is not None:
        return [
            replace(entry, verdict=INCONCLUSIVE, why=NOT_AT_WORK, more_x=0.0)
            if entry.verdict == BOUNDED
            else entry
            for entry in resources
        ]
    if target_failure(data) is None:
        return list(resources)
    early = _failed_early(data)
    why = "was not decided when the target failed"
    return [
        replace(entry, verdict=INCONCLUSIVE, why=why, more_x=0.0)
        if early or entry.verdict == INCONCLUSIVE or _hardly_seen(entry)
        else entry
        for entry in resources
    ]


def _hardly_seen(entry: ResourceVerdict) -> bool:
    """Whether a resource rests after its start, for no longer than the work after that may wait."""
    return entry.verdict == BOUNDED and entry.unit == "second" and entry.span < HELPER_SECONDS


def of_run(verdict: str, reason: str, data: RunData) -> tuple[str, str]:
    """Return verdict and reason of the run, in the light of what failed."""
    load = load_failure(data)
    if load is not None:
        return INCONCLUSIVE, f"{LOAD_FAILED}: {load}"
    failed = target_failure(data) or idleness(data) if verdict == INCONCLUSIVE else None
    if failed is None and reason == NOTHING_MEASURED:
        return verdict, f"{reason}{_how_to_measure(data)}"
    return (verdict, reason) if failed is None else (verdict, failed)


def _how_to_measure(data: RunData) -> str:
    """What to do about a run without figures: the same once more only where a pass was cut off."""
    durations = [entry.get("duration_seconds") for entry in data.meta.get("passes") or ()]
    known = [float(seconds) for seconds in durations if seconds]
    if not known:
        return "; record the run again"
    lasted = span_text(max(known), "second")
    return f": the target ended after {lasted}, before it was looked at; let it run longer"


def no_python(data: RunData) -> bool:
    """Whether the explain pass was skipped because there is no Python in the target to trace."""
    meta = data.meta
    skipped = any(
        event.get("kind") == "skipped" and event.get("pass") == "explain"
        for event in meta.get("events") or ()
    )
    return skipped and not any(entry.get("python") for entry in meta.get("processes") or ())


def _has_marked(data: RunData) -> bool:
    return any(entry.get("mark_count") for entry in data.meta.get("processes") or ())


def _failed_early(data: RunData) -> bool:
    """Say whether a target failed before it had done any work: sooner, or in an import."""
    failed = [entry for entry in data.meta.get("passes") or () if _how(entry) is not None]
    return not _has_marked(data) and any(
        float(entry.get("duration_seconds") or 0.0) < IMPORT_SECONDS
        or _died_importing(str(entry.get("stderr_tail") or ""))
        for entry in failed
    )


def _died_importing(stderr: str) -> bool:
    """Whether the last traceback is of a module's own code, below that of the program's.

    A module that is imported shows as one more frame in ``<module>``, whatever was raised there.
    """
    _, _, last = stderr.rpartition("Traceback (most recent call last):")
    return last.count(", in <module>") > 1


def _how(entry: dict[str, Any]) -> str | None:
    if entry.get("out_of_memory"):
        return "was killed for want of memory"
    if entry.get("signal") in ASKED_TO_END or entry.get("exit_status") in ASKED_STATUSES:
        return None
    if entry.get("signal"):
        return f"was killed by signal {entry['signal']}"
    status = entry.get("exit_status")
    return f"failed with exit status {status}" if status else None
