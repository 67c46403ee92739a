"""Is it a leak? One verdict per resource and one for the run, each with its reason.

``leak``: it keeps growing after warm-up. ``bounded``: it does not. ``inconclusive``: what was
recorded does not decide it, and the reason says what would.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.analysis.long_series import long_series
from leaklab.analysis.series import HEAP, resource_names, resource_series, roles, untraced_pass
from leaklab.present.formatting import interval_text, place_text, rate_text
from leaklab.resources import IN_USE, importance, material
from leaklab.verdict import failures
from leaklab.verdict.evidence import GROWS, UNDECIDED, Evidence
from leaklab.verdict.growth import estimate
from leaklab.verdict.heap_material import material_bytes, settled_bytes
from leaklab.verdict.heap_study import HeapStudy, study_heap
from leaklab.verdict.imported import deciding, judge_long, with_cautions
from leaklab.verdict.in_use import judge_in_use
from leaklab.verdict.lives_told import by_life, clear_bound, clear_growth, listed_alike
from leaklab.verdict.reading import EXACT, read
from leaklab.verdict.resident import beside_in_use, reconcile
from leaklab.verdict.resources import (
    BOUNDED,
    INCONCLUSIVE,
    LEAK,
    ResourceVerdict,
    counts,
    gravest,
    grown_text,
    judge_resource,
    verdict_of,
    why_text,
)
from leaklab.verdict.suspects import describe, suspects_table
from leaklab.verdict.unheard import unless_unheard

if TYPE_CHECKING:
    from leaklab.store import RunData

__all__ = ["BOUNDED", "INCONCLUSIVE", "LEAK", "ResourceVerdict", "Verdict", "judge"]

# From this many standard errors on the total's rate is clear of churn.
CLEAR_STATISTIC = 20.0


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run: its resources' verdicts, and the suspects behind them."""

    verdict: str
    reason: str
    resources: tuple[ResourceVerdict, ...]
    suspects: pd.DataFrame = field(repr=False, compare=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        from leaklab.present.bundle import verdict_bundle

        return verdict_bundle(self)

    def frame(self) -> pd.DataFrame:
        """Return a row per resource: resource, role, verdict, rate with rate_low and rate_high (per
        unit: iteration or second; NaN where none is known), first, last, decides, reason.

        >>> run.verdict().frame().query("verdict == 'leak'")
        """
        names = (
            "name", "role", "verdict", "rate", "rate_low", "rate_high", "unit", "first", "last",
            "decides", "reason",
        )  # fmt: skip
        rows = [[getattr(entry, name) for name in names] for entry in self.resources]
        return pd.DataFrame(rows, columns=list(names)).rename(columns={"name": "resource"})

    def resource(self, name: str, role: str = "main") -> ResourceVerdict | None:
        """The verdict on one resource, or None where it was not measured."""
        for entry in self.resources:
            if entry.name == name and entry.role == role:
                return entry
        return None


def judge(data: RunData) -> Verdict:
    """Judge a recorded run. Never raises for a short or incomplete one: it is inconclusive."""
    names = resource_names(data)
    studies = {
        role: study
        for role in roles(data, "explain")
        if (study := study_heap(data, role=role)) is not None
    }
    heaps = {
        role: judge_heap(study) if study.window_count is None else judge_sampled(study)
        for role, study in studies.items()
    }
    exact = {role for role, study in studies.items() if study.window_count is None}
    resources: list[ResourceVerdict] = []
    told: dict[str, ResourceVerdict] = {}
    for name in names:
        if name == HEAP:
            for role, entry in heaps.items():
                told[role] = by_life(entry, resource_series(data, HEAP, role=role), data)
            resources += told.values() or _looked_at_once(data)
            continue
        for role in roles(data):
            series = long_series(data, name, role=role)
            if not len(series) or _never_there(name, series):
                continue
            if name == IN_USE and (role in studies or not _told_by_allocators(series, data)):
                continue
            entry = judge_in_use(series, data) if name == IN_USE else judge_long(series)
            if name == "rss_bytes" and role in exact:
                entry = reconcile(entry, series, heaps[role], studies[role], data)
            entry = by_life(clear_growth(entry, heaps.get(role), series, data), series, data)
            entry = clear_bound(entry, heaps.get(role), data)
            if not counts(name, len(series)):
                entry = replace(entry, decides=False)
            if name == "rss_bytes" and untraced_pass(data) == "explain":
                entry = _of_traced(entry, data)
            resources.append(deciding(data.meta, entry, series))
    resources = with_cautions(data, beside_in_use(resources))
    resources = unless_unheard(listed_alike(resources), data)
    worst = max(
        told, key=lambda r: (told[r].decides, told[r].verdict == LEAK, told[r].rate), default=""
    )
    resources = failures.undecided_by(resources, data)
    traced = len(data.snapshots) > 0 or failures.no_python(data)
    complete = bool(studies) or "import" in data.meta or traced
    found, why = _of_run(tuple(resources), "" if complete else _unseen(data))
    verdict, why = failures.of_run(found, why, data)
    return Verdict(verdict, why, tuple(resources), suspects_table(data, studies.get(worst)))


def reconsidered(verdict: Verdict, resources: tuple[ResourceVerdict, ...]) -> Verdict:
    """Return the verdict on a run whose resources, its heap among them, were judged anew."""
    found, why = _of_run(resources, missing="")
    return replace(verdict, verdict=found, reason=why, resources=resources)


def _looked_at_once(data: RunData) -> list[ResourceVerdict]:
    """The heaps of a run none of which was looked at twice: how much there was, no growth."""
    found = [resource_series(data, HEAP, role=role) for role in roles(data, "explain")]
    why = "was looked at once only: listed, not judged"
    return [
        replace(judge_resource(series), why=why, more_x=0.0, decides=False)
        for series in found
        if len(series) == 1
    ]


def _never_there(name: str, series: pd.DataFrame) -> bool:
    """Whether a program has imported asyncio, and that is all: no task was ever seen."""
    return name == "task_count" and not series["value"].any()


def _told_by_allocators(series: pd.DataFrame, data: RunData) -> bool:
    """Whether what is in use was asked for at marks, and is the target's own, not the tracer's."""
    return bool(series.attrs["unit"] == "iteration") and untraced_pass(data) != "explain"


def _of_traced(entry: ResourceVerdict, data: RunData) -> ResourceVerdict:
    """Resident memory of a process that was traced all along holds the tracer's own as well."""
    capture = (data.meta.get("command") or {}).get("capture")
    rows = data.meta.get("processes", ())
    traced = any(row.get("traced") for row in rows if (row.get("role") or "main") == entry.role)
    if capture or not traced:
        return entry
    why = f"{entry.why}; with the tracer's own memory: listed, not judged"
    return replace(entry, why=why, more_x=0.0, decides=False)


def judge_heap(study: HeapStudy) -> ResourceVerdict:
    """The verdict on the live heap of one role, from its sites and its total.

    The heap leaks when a site keeps growing that nobody else's shrinking makes up for; churn of
    other sites, however large, does not hide it. The rate is that of the whole heap where it is
    clear, else that of the leaking sites together.
    """
    if study.missing_x > 0:
        evidence = Evidence(UNDECIDED, "uncovered", more_x=study.missing_x)
        why = why_text(HEAP, study.total, evidence)
        return verdict_of(HEAP, study.role, study.total, evidence, why)
    leaking = study.leaking
    unit, timeline = study.timeline.unit, study.timeline
    if leaking:
        together = np.sum([entry.live for entry in leaking], axis=0)
        begin = float(min(entry.growth.baseline_x for entry in leaking))
        growth = estimate(timeline.x, together, unit=unit, baseline_x=begin)
        total = study.total
        whole = estimate(total.whole_x, total.whole_y, unit=unit, baseline_x=begin)
        if whole.statistic >= CLEAR_STATISTIC and whole.rate > growth.rate:
            # Churn does not blur the total: it has the small sites that leak too.
            growth = whole
        matters = material_bytes(growth, settled_bytes(timeline))
        at_end, _ = read(growth, material=matters, one_of_many=True, limits=EXACT)
        if at_end.acceleration:  # its sites have the rate of the end
            growth = at_end
        # A stack without a frame of Python, such as a thread's own, is named for want of a line.
        frame = study.sites.frame
        first = next((entry for entry in leaking if frame[entry.site] >= 0), leaking[0])
        place = describe(study.sites, int(frame[first.site]))
        more = len(leaking) - 1
        others = f" and {more} more site{'s' if more > 1 else ''}" if more else ""
        grown = grown_text(HEAP, growth, " after warm-up", interval=False)
        why = f"{grown}, allocated by {place_text(place)}{others}, and did not slow down"
        return _with_curve(verdict_of(HEAP, study.role, growth, first.evidence, why), study)
    growth, evidence = study.total, study.total_evidence
    why = why_text(HEAP, growth, evidence)
    if study.undecided:
        # A sum that grows while none of its sites is found to leak is in doubt as they are.
        most = max(study.undecided, key=lambda entry: entry.gain)
        evidence = most.evidence
        place = describe(study.sites, int(study.sites.frame[most.site]))
        why = f"is undecided at {place_text(place)}, which {why_text(HEAP, most.growth, evidence)}"
    return _with_curve(verdict_of(HEAP, study.role, growth, evidence, why), study)


def judge_sampled(study: HeapStudy) -> ResourceVerdict:
    """The verdict on a heap that was traced in windows: by the counters, with the site they saw."""
    windows = f"traced in {study.window_count} windows"
    if study.counters is None:
        evidence = Evidence(UNDECIDED, "few")
        why = f"was {windows}, and no counter at marks tells whether it grows: listed, not judged"
        entry = verdict_of(HEAP, study.role, study.total, evidence, why)
        return replace(entry, decides=False)
    growth, evidence = study.counters.growth, study.counters.evidence
    why = f"{why_text(HEAP, growth, evidence)} (by its own counters)"
    if evidence.verdict == GROWS and study.growing:
        first = study.growing[0]
        place = place_text(describe(study.sites, int(study.sites.frame[first.site])))
        unit = study.timeline.unit
        rate = rate_text(HEAP, first.growth.rate, unit)
        low, high = first.growth.rate_low, first.growth.rate_high
        how = f"95 %: {interval_text(HEAP, low, high, unit)}" if np.isfinite(low) else "too few"
        why += f"; {windows}, most of it at {place}, about {rate} ({how})"
    else:
        why += f"; {windows}"
    return verdict_of(HEAP, study.role, growth, evidence, why)


def _with_curve(entry: ResourceVerdict, study: HeapStudy) -> ResourceVerdict:
    """First and last of the whole heap, as its curve shows them, whichever sites are judged."""
    total, timeline = study.timeline.total(), study.timeline
    begin = min(int(np.searchsorted(timeline.x, entry.baseline_x)), len(total) - 1)
    first, last = float(total[begin]), float(total[-1])
    return replace(entry, first=first, last=last, first_floor=first, last_floor=last)


def _place_of(entry: ResourceVerdict) -> tuple[bool, int]:
    """Where a leak stands among others: the heap, which names the line, speaks first if it grew by
    as much as matters to the process; a few bytes with each thing that is counted follow that."""
    large = entry.name == HEAP and entry.last - entry.first >= material("rss_bytes")
    return not large, importance(entry.name)


def _unseen(data: RunData) -> str:
    """What would tell of the heap, which nothing was seen of."""
    if any(event.get("kind") == "heap unseen" for event in data.meta.get("events") or ()):
        return "; of the heap nothing was seen: let it run longer"
    return "; the explain pass would judge the heap by allocation site"


def _of_run(resources: tuple[ResourceVerdict, ...], missing: str) -> tuple[str, str]:
    """A leak of any resource that decides is the run's. ``missing``: what would tell more."""
    deciding = [entry for entry in resources if entry.decides]
    if not deciding:
        # Short-lived helpers are all that was seen.
        deciding = [entry for entry in resources if not entry.name.startswith("gauge:")]
    verdict = gravest(entry.verdict for entry in deciding)
    if verdict == LEAK:
        leaks = [entry for entry in deciding if entry.verdict == LEAK]
        leaks.sort(key=_place_of)
        text = f"{leaks[0].title} {leaks[0].reason}"
        others = [entry.title for entry in leaks[1:]]
        if others:
            text += f"; {', '.join(others)} {'grows' if len(others) == 1 else 'grow'} too"
        return LEAK, text
    if not deciding and resources:
        names = ", ".join(dict.fromkeys(entry.name for entry in resources))
        return INCONCLUSIVE, f"nothing that decides was measured: {names}; add resident memory"
    if not deciding:
        return INCONCLUSIVE, failures.NOTHING_MEASURED
    if verdict == INCONCLUSIVE:
        undecided = [entry for entry in deciding if entry.verdict == INCONCLUSIVE]
        # What is to decide the run must decide all of it.
        alike = [entry for entry in undecided if entry.unit == undecided[0].unit]
        slowest = max(alike, key=lambda entry: entry.more_x)
        return INCONCLUSIVE, f"{slowest.title} {slowest.reason}"
    names = ", ".join(dict.fromkeys(entry.name for entry in deciding))
    return BOUNDED, f"nothing keeps growing after warm-up: {names}{missing}"
