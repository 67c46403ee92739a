"""Each candidate's state by a run: confirmed, bounded, refuted, not exercised, undecided."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaklab.code_audit.evidence import RunEvidence
from leaklab.code_audit.model import (
    BOUNDED,
    CONFIRMED,
    NOT_EXERCISED,
    REFUTED,
    UNDECIDED,
    Candidate,
)
from leaklab.code_audit.same_source import check_same_source
from leaklab.present.formatting import amount, rate_text, span_text

if TYPE_CHECKING:
    from leaklab.results.run import Run
    from leaklab.verdict.resources import ResourceVerdict

State = tuple[str, str]
HEAP = "heap_bytes"


def join(
    candidates: Iterable[Candidate], run: Run, digests: Mapping[str, str]
) -> tuple[Candidate, ...]:
    """Return the candidates with their states and what these rest on.

    Raises LeaklabError for a run of another program or an older source.
    """
    known = RunEvidence(run, check_same_source(run, digests))
    candidates = list(candidates)
    takers = Counter(name for each in candidates for name in {one.gauge for one in each.watches})
    standings = {}
    for each in candidates:
        # What no file has (the functions at exit) anybody may add to.
        sole = bool(each.watches) and all(
            one.file and takers[one.gauge] == 1 for one in each.watches
        )
        standings[each] = Standing(known.ran(each, sole), sole)
    # A resource that grows is a candidate's doing only where no other that ran takes of it.
    rivals = Counter(name for each in candidates if standings[each].ran for name in each.resources)
    return tuple(
        _with_excuse(each.judged(*state_of(each, known, standings[each], rivals)))
        for each in candidates
    )


@dataclass(frozen=True)
class Standing:
    """Whether a candidate ran (None: not told), and whether it alone has its gauges."""

    ran: bool | None
    sole: bool


def state_of(
    candidate: Candidate, known: RunEvidence, standing: Standing, rivals: Mapping[str, int]
) -> State:
    """The state of one candidate; the most direct evidence speaks first."""
    return (
        _by_gauge(candidate, known, standing)
        or _by_growth(candidate, known, standing)
        or _not_run(candidate, known, standing.ran)
        or _by_resources(candidate, known, rivals)
    )


def _by_gauge(candidate: Candidate, known: RunEvidence, standing: Standing) -> State | None:
    """The container itself was counted: nothing else need be looked at.

    Of a container that only this candidate is about, growth speaks wherever it comes from. One
    that others are about as well says nothing of a candidate that never ran.
    """
    entry = known.gauge(candidate)
    if entry is None:
        return None
    name = entry.name.removeprefix("gauge:")
    if entry.verdict == "leak":
        text = f"{name} grows by {rate_text(entry.name, entry.rate, entry.unit)}"
        if (reading := known.last_reading(entry)) is not None:
            text += f", {reading[0]:g} after {span_text(reading[1], entry.unit)}"
        if standing.ran or standing.sole:
            return CONFIRMED, text + _where(candidate, known, standing)
        if standing.ran is None:
            return UNDECIDED, f"{text}; the run does not tell whether by this line"
    elif standing.ran and entry.verdict == "bounded":
        return BOUNDED, _bounded_text(entry, known, name)
    elif standing.ran is not False and entry.verdict != "bounded":
        return UNDECIDED, f"{name} {entry.reason}"
    return None


def _where(candidate: Candidate, known: RunEvidence, standing: Standing) -> str:
    if not standing.ran:
        return ", at none of the lines that were found"
    codes = known.codes_that_ran(candidate)
    return f"; of these places {', '.join(codes)} ran" if codes else ""


def _bounded_text(entry: ResourceVerdict, known: RunEvidence, name: str) -> str:
    reached = known.when_reached(entry)
    if reached is None:
        return f"{name} {entry.reason}"
    most, when = reached
    least = entry.rate_high if entry.rate_high == entry.rate_high else 0.0
    excluded = "nothing since"
    if least > 0:
        excluded = f"at most {rate_text(entry.name, least, entry.unit)} since"
    return f"{name} reached {most:g} after {span_text(when, entry.unit)}, {excluded}"


def _by_growth(candidate: Candidate, known: RunEvidence, standing: Standing) -> State | None:
    """The growing suspect's stack, or the holder of what piles up, is the candidate."""
    if not (candidate.resources or candidate.watches):
        return None
    if standing.ran is False and not standing.sole and known.line_grain == "lines":
        return None  # what others put there
    for growth in (*known.groups, *known.suspects):
        for name in candidate.holders:
            if any(_names(name, held) for held in growth.holders):
                return CONFIRMED, f"it holds what grows: {growth.text}"
    places = {(candidate.file, line) for line in candidate.lines}
    for growth in known.suspects:
        if places & growth.places:
            return CONFIRMED, f"what grows is allocated here: {growth.text}"
    return None


def _names(holder: str, path: str) -> bool:
    """Whether a path of an object graph goes through what ``holder`` names."""
    if not holder:
        return False
    start = "" if holder.startswith(".") else r"(?<![\w])"
    return re.search(start + re.escape(holder) + r"(?![\w])", path) is not None


def _not_run(candidate: Candidate, known: RunEvidence, ran: bool | None) -> State | None:
    if ran:
        return None
    if ran is None and known.line_grain == "nothing":
        return UNDECIDED, (
            "its Python does not tell which lines ran; record it with 3.12 or newer, and with no "
            "debugger or profiler that monitors it"
        )
    if ran is None:
        return UNDECIDED, (
            "the run does not tell whether its line ran; `leaklab audit PATH -- COMMAND` records it"
        )
    never = "its line never ran"
    if all(code for _, code in candidate.run_places):
        never = "its function never ran, only the line that makes it"
    if known.line_grain == "functions":
        never = "its function was not seen to run (before Python 3.12 a few calls go unseen)"
    return NOT_EXERCISED, f"{never}; {how_to_drive(candidate)}"


def how_to_drive(candidate: Candidate) -> str:
    """How a recording would reach the candidate's line."""
    if candidate.function is None and any("<lambda>" in code for _, code in candidate.run_places):
        return "drive what calls the lambda by a load (--drive)"
    if candidate.function is None:
        return "record a command that runs this file"
    call = f"{candidate.module}:{candidate.function}"
    return f"drive {candidate.function} by a load (--drive), or --mark-on call:{call}"


def _by_resources(candidate: Candidate, known: RunEvidence, rivals: Mapping[str, int]) -> State:
    """It ran, and neither a gauge nor a stack speaks of it: the figures of the process do."""
    measured = []
    doubts = []
    for name in candidate.resources:
        entries = known.files_growing() if name == "file_bytes" else [known.resource(name)]
        for entry in entries:
            if entry is None:
                continue
            measured.append(entry)
            if entry.verdict == "leak" and name != HEAP:
                grew = f"{entry.name} grows by {rate_text(entry.name, entry.rate, entry.unit)}"
                if rivals.get(name, 0) == 1:
                    return (
                        CONFIRMED,
                        f"{grew}, and of all candidates that ran only this takes of it",
                    )
                doubts.append(f"{grew}; {rivals.get(name, 0)} candidates that ran take of it")
            elif entry.verdict == "inconclusive":
                doubts.append(f"{entry.name} {entry.reason}")
    if doubts:
        return UNDECIDED, doubts[0]
    if not measured:
        return UNDECIDED, "it ran; no figure of the run decides it"
    if any(entry.verdict == "leak" for entry in measured):
        return (
            UNDECIDED,
            f"it ran; {HEAP} grows, and what grows does not lead here by line or holder",
        )
    names = ", ".join(dict.fromkeys(entry.name for entry in measured))
    worst = measured[0]
    limit = ""
    if worst.rate_high == worst.rate_high and worst.rate_high > 0:
        limit = f" (at most {amount(worst.name, worst.rate_high)} per {worst.unit})"
    return REFUTED, f"it ran; {names} stay bounded{limit}"


def _with_excuse(candidate: Candidate) -> Candidate:
    """Say whether the comment that excuses it was right."""
    excuse = candidate.excuse
    if excuse is None:
        return candidate
    words = (
        f"`# noqa: {excuse.text}`" if excuse.kind == "noqa" else f"“bounded because {excuse.text}”"
    )
    if candidate.state == CONFIRMED:
        held = "did not hold"
    elif candidate.state in (BOUNDED, REFUTED):
        held = "held in this run"
    else:
        held = "was not put to the test"
    return candidate.judged(candidate.state, f"{candidate.evidence}; the excuse {words} {held}")
