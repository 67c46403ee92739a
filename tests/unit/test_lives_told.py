"""What is judged by its time alone: helpers, launchers, programs that had hardly begun."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.present.resource_text import resource_lines
from leaklab.present.shown_resources import SHOWN_ROLE_COUNT
from leaklab.verdict.judge import judge
from leaklab.verdict.lives_told import clear_bound, clear_growth
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, LEAK, ResourceVerdict

IMPORTS = s.leak(40, 400_000)
BOTH = ("measure", "explain")


def of_time(main: s.Series, seconds: float, **meta: Any) -> s.RunData:
    """A run without marks whose main process has ended by itself."""
    row = {"process": 0, "pass": "measure", "role": "main", "mark_count": 0}
    ended = {**row, "started_seconds": 0.0, "ended_seconds": seconds}
    told = {"passes": [{"pass": "measure"}], "processes": [ended], **meta}
    return s.run(rss=main, marks=False, seconds_per_point=seconds / len(main), meta=told)


def test_a_program_that_had_hardly_begun_is_no_leak() -> None:
    verdict = judge(of_time(IMPORTS, 0.4))
    assert (verdict.verdict, verdict.resources[0].more_x) == (INCONCLUSIVE, 0.0)
    assert "rss_bytes was seen for 0.4 seconds, hardly more than the start" in verdict.reason
    assert judge(of_time(IMPORTS, 40.0)).verdict == LEAK


def test_more_is_not_to_be_recorded_of_what_has_ended() -> None:
    data = of_time(IMPORTS[:6], 3.0)
    assert "let it run for 2.5 seconds more" in judge(data).reason
    stopped = of_time(IMPORTS[:6], 3.0, passes=[{"pass": "measure", "stopped_by": "duration"}])
    assert "record 2.5 seconds more" in judge(stopped).reason


RESTS = s.bounded(80, 4_000_000, full_at=8) + s.noise(80, 20_000)


@pytest.mark.parametrize(
    ("seconds", "stopped_by", "ended_seconds", "verdict"),
    [
        (6.0, "interrupt", 6.1, INCONCLUSIVE),
        (6.0, "duration", None, INCONCLUSIVE),
        (6.0, "limit-memory", 6.1, INCONCLUSIVE),
        (6.0, "drive", 6.1, BOUNDED),
        (6.0, "decided", 6.1, BOUNDED),
        (6.0, "interrupt", 5.9, BOUNDED),
        (6.0, None, 6.1, BOUNDED),
        (16.0, "interrupt", 16.1, BOUNDED),
    ],
)
def test_what_was_stopped_soon_after_its_start_is_not_bounded(
    seconds: float, stopped_by: str | None, ended_seconds: float | None, verdict: str
) -> None:
    """A service that was asked for nothing yet rests; one that had ended keeps its word."""
    told = {
        "passes": [{"pass": "measure", "stopped_by": stopped_by}],
        "events": [{"kind": "stop", "pass": "measure", "time_seconds": seconds}],
    }
    data = of_time(RESTS, seconds, **told)
    data.meta["processes"][0]["ended_seconds"] = ended_seconds
    entry = judge(data).resources[0]
    assert entry.verdict == verdict, entry.reason
    if verdict == INCONCLUSIVE:
        assert 0 < entry.more_x == pytest.approx(10 - entry.span)
        assert "but the target went on when its recording was stopped; record " in entry.reason


@pytest.mark.parametrize(
    ("passes", "ended_seconds", "verdict"),
    [
        ([], None, INCONCLUSIVE),
        ([], 5.9, BOUNDED),
        ([{"pass": "measure", "duration_seconds": None}], None, INCONCLUSIVE),
        ([{"pass": "measure", "duration_seconds": 6.0}], 5.9, BOUNDED),
    ],
    ids=["broke off", "had ended before", "watched", "the next pass broke off"],
)
def test_a_recording_that_broke_off_with_its_recorder_is_as_one_that_was_stopped(
    passes: list[dict[str, Any]], ended_seconds: float | None, verdict: str
) -> None:
    data = of_time(RESTS, 6.0, passes=passes, state="incomplete")
    data.meta["processes"][0]["ended_seconds"] = ended_seconds
    entry = judge(data).resources[0]
    assert entry.verdict == verdict, entry.reason
    assert verdict == BOUNDED or "went on when its recording was stopped" in entry.reason


def test_a_heap_of_seconds_is_judged_by_the_pass_that_was_stopped() -> None:
    def judged(pass_: str) -> str:
        passes = [
            {"pass": one, "stopped_by": "interrupt" if one == pass_ else None} for one in BOTH
        ]
        data = s.run(
            rss=RESTS,
            sites={"keep": s.steady(80, 50_000)},
            marks=False,
            seconds_per_point=0.05,
            meta={"passes": passes},
        )
        entry = judge(data).resource("heap_bytes")
        assert entry is not None
        return entry.verdict

    assert (judged("explain"), judged("measure")) == (INCONCLUSIVE, BOUNDED)


def test_who_started_what_went_on_in_the_background_is_listed_only() -> None:
    data = of_time(IMPORTS, 3.0)
    launcher = {**data.meta["processes"][0], "role": "launcher"}
    service = {**launcher, "process": 1, "role": "main", "ended_seconds": 9.0}
    samples = data.samples.assign(value=60e6, process=1)
    judged = judge(
        s.RunData.from_tables(
            {**data.meta, "processes": [launcher, service]},
            samples=pd.concat([data.samples, samples]),
        )
    )
    assert judged.verdict == BOUNDED
    entry = judged.resource("rss_bytes", "launcher")
    assert entry is not None and not entry.decides
    assert entry.reason == "was seen for 3 seconds before the target went on: listed, not judged"


@pytest.mark.parametrize(("lived_seconds", "decides"), [(0.5, False), (12.0, True)])
def test_many_short_helpers_are_listed_only(lived_seconds: float, decides: bool) -> None:
    data = of_time(IMPORTS, 20.0)
    (main, *_) = data.meta["processes"]
    many = {**main, "process": 1, "role": "sort", "ended_seconds": 19.0, "process_count": 18}
    one = {**many, "process": 2, "process_count": 1, "started_seconds": 1.0}
    one["ended_seconds"] = 1.0 + lived_seconds
    helpers = data.samples.assign(process=1)
    judged = judge(
        s.RunData.from_tables(
            {**data.meta, "processes": [{**main, "ended_seconds": 20.0}, many, one]},
            samples=pd.concat([data.samples.assign(value=60e6), helpers]),
        )
    )
    entry = judged.resource("rss_bytes", "sort")
    assert entry is not None and entry.decides == decides
    if not decides:
        assert entry.reason == "was 19 processes, none there for 10 seconds: listed, not judged"


@pytest.mark.parametrize(
    ("name", "low", "heap", "verdict"),
    [
        ("rss_bytes", -8.8e6, None, INCONCLUSIVE),
        ("rss_bytes", -8.8e6, BOUNDED, INCONCLUSIVE),
        ("rss_bytes", -8.8e6, LEAK, LEAK),
        ("rss_bytes", 1.0, None, LEAK),
        ("fd_count", -0.1, None, LEAK),
    ],
)
def test_no_leak_of_memory_whose_interval_holds_0(
    name: str, low: float, heap: str | None, verdict: str
) -> None:
    entry = ResourceVerdict(name, LEAK, 2e7, low, 4.5e7, "second", 0.0, 1.0, 0.0, 1.0, "grew", 0.0)
    exact = None if heap is None else replace(entry, name="heap_bytes", verdict=heap)
    run = s.run(rss=s.steady(5, 0))
    found = clear_growth(entry, exact, pd.DataFrame({"x": np.arange(15.0)}), run)
    assert found.verdict == verdict
    assert ("the interval holds 0" in found.reason) == (verdict == INCONCLUSIVE)


@pytest.mark.parametrize(
    ("seconds", "meta", "verdict"),
    [
        (4.0, {}, INCONCLUSIVE),
        (14.0, {}, LEAK),
        (4.0, {"options": {"attached": True}}, LEAK),
        (4.0, {"command": {"kind": "watched"}}, LEAK),
    ],
)
def test_a_start_looks_like_growth_and_lasts_for_seconds(
    seconds: float, meta: dict[str, Any], verdict: str
) -> None:
    """A test suite of 300 tests imports and collects for as long as it runs."""
    entry = judge(of_time(IMPORTS, seconds, **meta)).resources[0]
    assert entry.verdict == verdict
    if verdict == INCONCLUSIVE:
        assert entry.reason.endswith("but a start looks like that; let it run for 6.1 seconds more")
        assert entry.more_x == pytest.approx(10 - 3.9)


FLAT = s.bounded(40, 0, full_at=1)


@pytest.mark.parametrize(
    ("seconds", "meta", "verdict"),
    [
        (0.8, {"options": {"attached": True}}, INCONCLUSIVE),
        (16.0, {"options": {"attached": True}}, BOUNDED),
        (0.8, {}, BOUNDED),
    ],
)
def test_a_process_that_ran_before_fills_what_it_had_freed(
    seconds: float, meta: dict[str, Any], verdict: str
) -> None:
    """A cell of a notebook kept 500 kB in pages that its kernel had: that was called bounded."""
    found = judge(of_time(FLAT, seconds, **meta))
    assert found.verdict == verdict
    withheld = "but pages that the process had freed before are filled first" in found.reason
    assert withheld == (verdict == INCONCLUSIVE)


def test_the_exact_heap_shows_what_resident_memory_hides() -> None:
    entry = judge(of_time(FLAT, 0.8)).resources[0]
    run = of_time(FLAT, 0.8, options={"attached": True})
    assert clear_bound(entry, None, run).verdict == INCONCLUSIVE
    assert clear_bound(entry, replace(entry, name="heap_bytes"), run) == entry
    looked_at_once = replace(entry, name="heap_bytes", decides=False)
    assert clear_bound(entry, looked_at_once, run).verdict == INCONCLUSIVE


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([], "the explain pass would judge the heap by allocation site"),
        ([{"kind": "heap unseen", "text": ""}], "of the heap nothing was seen: let it run longer"),
    ],
)
def test_what_would_tell_of_the_heap(events: list[dict[str, str]], told: str) -> None:
    assert judge(of_time(FLAT, 16.0, events=events)).reason.endswith(told)


@dataclass
class Shown:
    """A run of so many helpers, of which the last one leaks."""

    helper_count: int
    horizon_seconds: float | None = None

    @property
    def roles(self) -> list[str]:
        return ["main", *(f"helper {letter}" for letter in range(self.helper_count))]

    @property
    def meta(self) -> dict[str, Any]:
        return {
            "processes": [{"role": r, "pass": "measure", "process_count": 2} for r in self.roles]
        }

    def verdict(self) -> Any:
        why = "was seen for 1 second in a child process: listed, not judged"
        entries = [
            ResourceVerdict(name, INCONCLUSIVE, 0, 0, 0, "second", 0, 1, 0, 1, why, 0, role)
            for name in ("rss_bytes", "fd_count")
            for role in self.roles
        ]
        entries[-1] = replace(entries[-1], verdict=LEAK, why="grew")
        return SimpleNamespace(resources=entries)


def test_a_table_of_hundreds_of_helpers_shows_a_few_and_who_leaks() -> None:
    lines = list(resource_lines(Shown(200)))  # type: ignore[arg-type]
    assert len(lines) < 4 * SHOWN_ROLE_COUNT
    assert any("fd_count (helper 199)" in line and "leak" in line for line in lines)
    hidden = 201 - SHOWN_ROLE_COUNT
    assert f"  and {2 * hidden} more processes, none of which leaks" in "\n".join(lines)
    assert not any("more processes" in line for line in resource_lines(Shown(3)))  # type: ignore[arg-type]


def test_the_same_reason_is_told_once_for_all_resources_of_a_role() -> None:
    lines = list(resource_lines(Shown(3)))  # type: ignore[arg-type]
    said = [line for line in lines if "helper 1)" in line and ": " in line]
    assert said == [
        "  rss_bytes, fd_count (helper 1): was seen for 1 second in a child process: listed, "
        "not judged"
    ]


@pytest.mark.parametrize("grows", [False, True])
def test_all_figures_of_a_helper_are_listed_where_some_are_too_few(grows: bool) -> None:
    """The seldom ones decide nothing, and the process was seen as shortly by the others."""
    row = {"process": 0, "pass": "measure", "role": "sleep", "mark_count": 0}
    told = {"processes": [{**row, "started_seconds": 0.0, "ended_seconds": 1.5}]}
    fd_count = 3 + 2.0 * np.arange(15) if grows else np.full(15, 3.0)
    often = s.run(
        rss=s.steady(15), fd_count=fd_count, marks=False, seconds_per_point=0.1, meta=told
    )
    seldom = s.run(child_count=np.zeros(7), marks=False, seconds_per_point=0.2)
    data = s.RunData.from_tables(
        often.meta, samples=pd.concat([often.samples, seldom.samples], ignore_index=True)
    )
    found = {entry.name: entry for entry in judge(data).resources}
    why = "was seen for 1.5 seconds in a child process: listed, not judged"
    assert {found["rss_bytes"].reason, found["child_count"].reason} == {why}
    assert (found["fd_count"].verdict == LEAK) == grows
    assert (found["fd_count"].reason == why) == (not grows)
    assert not found["rss_bytes"].decides


@pytest.mark.parametrize("untraced_seconds", [5.6, 12.0])
def test_a_helper_that_the_tracer_slows_was_there_as_shortly(untraced_seconds: float) -> None:
    main = {"process": 0, "pass": "measure", "role": "main", "mark_count": 40}
    helper = {"process": 2, "pass": "measure", "role": "load", "mark_count": 0}
    ended = {**helper, "started_seconds": 0.0, "ended_seconds": untraced_seconds}
    traced = {**ended, "process": 1, "pass": "explain", "ended_seconds": 13.0}
    data = s.run(
        rss=s.steady(40),
        sites={"imports": s.bounded(130, 600_000, full_at=12)},
        marks=False,
        seconds_per_point=0.1,
        meta={"processes": [main, ended, traced]},
    )
    entry = judge(data).resource("heap_bytes", "load")
    assert entry is not None and entry.verdict != LEAK
    shortly = untraced_seconds < 10
    assert entry.decides != shortly
    assert shortly == entry.reason.startswith("was seen for 5.6 seconds in a child process: listed")
