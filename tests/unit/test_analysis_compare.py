"""Does the fix work: outcomes by resource and site, and runs that may not be compared."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as s

import leaklab as ll
from leaklab.errors import LeaklabError
from leaklab.present.bundle import comparison_bundle
from leaklab.present.text import comparison_text
from leaklab.results.as_json import plain
from leaklab.results.comparison import Comparison, compare
from leaklab.verdict.judge import Verdict, judge, reconsidered

COUNT = 200


def leaking(rate: float, **more: s.Series) -> s.RunData:
    return s.run(
        rss=s.leak(COUNT, rate) + s.noise(COUNT, 40_000),
        sites={"keep": s.leak(COUNT, rate)},
        **more,
    )


def healthy() -> s.RunData:
    return s.run(rss=s.noise(COUNT, 40_000), sites={"keep": s.steady(COUNT, 50_000)})


def test_fixed() -> None:
    found = compare(leaking(20_000), healthy())
    assert found.outcome == "fixed", found.reason
    assert set(found.resources["outcome"]) == {"fixed"}
    assert found.sites.iloc[0]["outcome"] == "fixed"
    assert found.sites.iloc[0]["function"] == "keep"


def test_improved_worse_and_unchanged() -> None:
    assert compare(leaking(40_000), leaking(20_000)).outcome == "improved"
    assert compare(leaking(20_000), leaking(40_000)).outcome == "worse"
    assert compare(leaking(20_000), leaking(20_400)).outcome == "unchanged"
    assert compare(healthy(), leaking(20_000)).outcome == "worse"
    assert compare(healthy(), healthy()).outcome == "unchanged"


def test_one_resource_fixed_and_another_left_is_improved() -> None:
    before = leaking(20_000, fd_count=s.leak(COUNT, 1))
    after = leaking(20_000, fd_count=s.steady(COUNT, 5))
    found = compare(before, after)
    assert found.outcome == "improved"
    assert "fd_count" in found.reason
    assert "heap_bytes" in found.reason


def test_too_few_marks_are_inconclusive() -> None:
    short = s.run(sites={"keep": s.leak(7, 20_000)})
    assert compare(short, healthy()).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "other"}, "name differs"),
        ({"parameters": {"iterations": 5}}, "parameters differs"),
        ({"versions": {"python": "3.9.1"}}, "interpreter differs"),
    ],
)
def test_incomparable_runs_are_refused(change: dict[str, object], named: str) -> None:
    with pytest.raises(LeaklabError, match=named):
        compare(leaking(1_000), s.run(sites={"keep": s.leak(COUNT, 1)}, meta=change))


def test_one_command_under_two_names_is_compared() -> None:
    command = {"kind": "script", "argv": ["serve.py", "500"]}
    before, after, other = (
        s.run(sites={"keep": s.leak(COUNT, 1_000)}, meta={"name": name, "command": each})
        for name, each in (
            ("first", command),
            ("second", command),
            ("third", {**command, "argv": ["serve.py", "900"]}),
        )
    )
    assert compare(before, after).outcome == "unchanged"
    with pytest.raises(LeaklabError, match="name differs: first and third; record both with one"):
        compare(before, other)


def test_what_one_run_has_not_measured_is_not_called_fixed() -> None:
    whole = leaking(20_000)
    without = s.run(rss=s.noise(COUNT, 40_000))
    without.meta["state"] = "interrupted"
    for found, missing in ((compare(whole, without), "after"), (compare(without, whole), "before")):
        # Resident memory was measured in both: that it leaks only in the second is a fact.
        assert found.outcome == ("inconclusive" if missing == "after" else "worse")
        heap = found.resources.set_index("name").loc["heap_bytes"]
        assert heap[f"{missing}_verdict"] == "not measured"
        assert heap["outcome"] == "inconclusive"
        assert f"not measured in {missing}" in heap["reason"]
        assert set(found.sites["outcome"]) == {"not measured"}
        assert str(found.sites["line"].dtype).startswith("int")
        text = comparison_text(found)
        assert "interrupted (" in text
        assert "nan" not in text


def with_child(
    data: s.RunData, role: str, rss: s.Series, *, sites: dict[str, s.Series] | None = None
) -> s.RunData:
    """Add a process of another role, one per pass: resident memory, and a heap where asked."""
    child = s.run(rss=rss, sites=sites)
    moved = {"samples": child.samples.assign(process=child.samples["process"] + 10)}
    for name in ("snapshots", "heap") if sites else ():
        table = child.table(name)
        moved[name] = table.assign(process=table["process"] + 10)
    tables = {name: pd.concat([data.table(name), more]) for name, more in moved.items()}
    kept = {n: data.table(n) for n in ("snapshots", "heap") if n not in tables}
    named = child if sites else data
    processes = [
        {**entry, "process": entry["process"] + 10, "role": role}
        for entry in child.meta["processes"]
    ]
    meta = {**data.meta, "processes": [*data.meta["processes"], *processes]}
    return s.RunData.from_tables(
        meta, **kept, **tables, stacks=named.table("stacks"), frames=named.table("frames")
    )


KID, OTHER_KID = "python kid.py", "python kid_fixed.py"
GROWS, RESTS = s.leak(COUNT, 50_000), s.steady(COUNT)


def without_heap(**more: s.Series) -> s.RunData:
    return s.run(rss=s.noise(COUNT, 40_000), **more)


@pytest.mark.parametrize("sites", [None, {"grow": GROWS}])
def test_a_leak_in_a_process_that_only_after_has_is_worse(
    sites: dict[str, s.Series] | None,
) -> None:
    found = compare(without_heap(), with_child(without_heap(), KID, GROWS, sites=sites))
    assert found.outcome == "worse"
    assert f"rss_bytes of {KID}: only in after, where it leaks" in found.reason
    row = found.resources.set_index(["name", "role"]).loc["rss_bytes", KID]
    assert row["before_verdict"] == "not there"
    assert row["after_verdict"] == "leak"
    assert set(found.sites["outcome"]) == ({"worse"} if sites else set())
    assert "nan" not in comparison_text(found)


@pytest.mark.parametrize("sites", [None, {"grow": GROWS}])
def test_a_leak_that_is_gone_with_its_process_is_inconclusive(
    sites: dict[str, s.Series] | None,
) -> None:
    leaks = with_child(without_heap(), KID, GROWS, sites=sites)
    gone = compare(leaks, without_heap())
    assert gone.outcome == "inconclusive"
    assert f"after has no process {KID}: it is gone, or has another name" in gone.reason
    assert set(gone.sites["outcome"]) == ({"not there"} if sites else set())
    renamed = compare(leaks, with_child(without_heap(), OTHER_KID, RESTS))
    assert renamed.outcome == "inconclusive"
    assert KID in renamed.reason
    assert OTHER_KID in renamed.reason
    # What leaks by another name leaks: the gate must not let it through.
    assert compare(leaks, with_child(without_heap(), OTHER_KID, GROWS)).outcome == "worse"


def test_a_process_that_does_not_leak_may_come_and_go() -> None:
    leaks, helped = leaking(20_000), with_child(healthy(), KID, RESTS)
    assert compare(leaks, helped).outcome == "fixed"
    assert compare(helped, healthy()).outcome == "unchanged"
    rows = compare(helped, healthy()).resources.set_index(["name", "role"])
    assert rows.loc["rss_bytes", KID]["reason"] == "only in before, where it does not leak"


def test_a_figure_that_only_one_run_has() -> None:
    tasks = s.leak(COUNT, 1)
    none, many = without_heap(), without_heap(task_count=tasks)
    assert compare(none, many).outcome == "worse"
    assert compare(many, none).outcome == "inconclusive"
    # An interpreter that was asked has told that there is no task.
    asked = without_heap(allocated_blocks_count=s.steady(COUNT, 5e4))
    assert compare(many, asked).outcome == "fixed"


def test_roles_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # a narrow table breaks the name
    before = with_child(without_heap(), "fork of main", GROWS)
    after = with_child(without_heap(), "fork of main", RESTS)
    found = compare(before, after)
    assert found.reason == "rss_bytes of fork of main: leaked before, bounded after"
    assert "rss_bytes (fork of main)" in comparison_text(found)
    shown = comparison_bundle(found)
    assert "rss_bytes (fork of main)" in shown["text/plain"]
    assert "fork of main" in shown["text/html"]


def test_unchanged_names_what_still_grows() -> None:
    assert "still grow" in compare(leaking(20_000), leaking(20_400)).reason
    assert "still grow" not in compare(healthy(), healthy()).reason


def test_nothing_that_decides_is_no_proof() -> None:
    empty = s.run(gauge__requests=s.leak(COUNT, 1))
    assert compare(empty, empty).outcome == "inconclusive"


def told(data: s.RunData, **entries: dict[str, Any]) -> Verdict:
    """Its verdict with entries changed: what a noisy service may bring."""
    found = judge(data)
    changed = [replace(one, **entries.get(one.name, {})) for one in found.resources]
    return reconsidered(found, tuple(changed))


def undecided(low: float, high: float, **more: Any) -> dict[str, Any]:
    rates = {"rate": (low + high) / 2, "rate_low": low, "rate_high": high}
    doubt = {"verdict": "inconclusive", "why": "grew, or a cache explains it", "more_x": 300.0}
    return {**rates, **doubt, "span": 180.0, **more}


def compared(
    before: s.RunData, after: s.RunData, of_before: dict[str, Any], of_after: dict[str, Any]
) -> Comparison:
    sides = (before, of_before), (after, of_after)
    first, second = (told(data, rss_bytes=entry) for data, entry in sides)
    return compare(before, after, (first, second))


def with_helper(data: s.RunData, **said: Any) -> tuple[s.RunData, Verdict]:
    """A run and its verdict, where this is said of a helper of it."""
    data = with_child(data, KID, RESTS)
    found = judge(data)
    rows = [replace(e, unit="second", **said) if e.role == KID else e for e in found.resources]
    return data, reconsidered(found, tuple(rows))


SEEN_SHORTLY = {
    "verdict": "inconclusive",
    "why": "was seen for 4 seconds in a child process: listed, not judged",
    "decides": False,
}


def test_a_helper_that_one_run_only_lists_leaves_nothing_open() -> None:
    """Load that is over sooner in one run than in the other; a leak of it is not explained away."""
    judged = {"verdict": "bounded", "decides": True}
    leaks, listed_leaks = (with_helper(leaking(20_000), **each) for each in (judged, SEEN_SHORTLY))
    rests, listed_rests = (with_helper(healthy(), **each) for each in (judged, SEEN_SHORTLY))
    lost = with_helper(leaking(20_000), verdict="leak", decides=True)

    def outcome(before: tuple[s.RunData, Verdict], after: tuple[s.RunData, Verdict]) -> str:
        found = compare(before[0], after[0], (before[1], after[1]))
        assert KID not in found.reason or found.outcome == "inconclusive"
        return found.outcome

    assert outcome(leaks, listed_rests) == outcome(listed_leaks, rests) == "fixed"
    assert outcome(rests, listed_rests) == outcome(listed_rests, rests) == "unchanged"
    assert outcome(rests, listed_leaks) == "worse"
    assert outcome(lost, listed_rests) == "inconclusive"


@pytest.mark.parametrize(
    ("of_before", "of_after"),
    [
        ({}, undecided(439, 2_242)),
        ({}, undecided(-90_000, 90_000)),
        (undecided(-90_000, 90_000), {}),
        (undecided(-90_000, 90_000), undecided(-90_000, 90_000)),
    ],
)
def test_an_exact_heap_proves_a_fix_of_memory_that_is_undecided(
    of_before: dict[str, Any], of_after: dict[str, Any]
) -> None:
    found = compared(leaking(20_000), healthy(), of_before, of_after)
    assert found.outcome == "fixed", found.reason
    assert "heap_bytes: leaked before, bounded after; not decided: rss_bytes" in found.reason


def test_no_fix_of_resident_memory_that_no_heap_explains() -> None:
    """A native leak, which the heap beside it does not show, or shows a small part of."""
    native = s.run(rss=s.leak(COUNT, 20_000), sites={"keep": s.steady(COUNT, 50_000)})
    small = s.run(rss=s.leak(COUNT, 200_000), sites={"keep": s.leak(COUNT, 20_000)})
    for before in (native, small, without_heap()):
        found = compared(before, healthy(), {}, undecided(-90_000, 250_000))
        assert found.outcome == "inconclusive", found.reason
    # Memory that leaks after, while the heap no longer does, is not told by it either.
    worse = compared(leaking(20_000), native, undecided(-90_000, 90_000), {})
    assert worse.outcome == "inconclusive"


def test_rates_that_are_far_apart_are_so_before_all_is_decided() -> None:
    leaks, rests = s.run(rss=GROWS), without_heap()
    rates = {"verdict": "leak", "rate": 18_600.0, "rate_low": 17_800.0, "rate_high": 19_400.0}
    better = compared(leaks, rests, rates, undecided(439, 2_242))
    assert better.outcome == "improved"
    assert "rss_bytes: better; not decided: rss_bytes" in better.reason
    (because,) = better.resources["reason"]
    assert because == (
        "it grows more slowly, by 87 % at least; whether the rest keeps growing is not decided: "
        "it grew, or a cache explains it; record 300 iterations more"
    )
    worse = compared(rests, leaks, undecided(439, 2_242), rates)
    assert worse.outcome == "worse"
    assert "it grows faster; whether it leaked before is not decided" in worse.reason
    for nothing_told in (
        undecided(439, 17_900),  # the intervals meet
        undecided(439, 2_242, more_x=0.0),  # the load failed, say
        undecided(439, 2_242, span=20.0),  # of another part of the work
        undecided(439, 2_242, unit="second"),
    ):
        found = compared(leaks, rests, rates, nothing_told)
        assert found.outcome == "inconclusive", nothing_told


def test_a_service_that_was_stopped_soon_after_its_start_is_not_better() -> None:
    leaks, rests = s.run(rss=GROWS), without_heap()
    by_time = {"unit": "second", "span": 60.0}
    for span, outcome in ((5.0, "inconclusive"), (50.0, "improved")):
        entry = undecided(0, 2, unit="second", span=span)
        assert compared(leaks, rests, by_time, entry).outcome == outcome


def ended(data: s.RunData, mark_count: int, **how: object) -> s.RunData:
    """The run, as if the target of its measure pass had ended so."""
    data.meta["passes"][0] |= {"duration_seconds": 9.0, **how}
    data.meta["processes"][0]["mark_count"] = mark_count
    return data


FAILED = {"exit_status": 1, "stderr_tail": "Traceback\nRuntimeError: no more\n"}


def test_a_target_that_failed_proves_no_fix() -> None:
    found = compare(ended(leaking(20_000), 300), ended(healthy(), 251, **FAILED))
    assert found.outcome == "inconclusive"
    assert found.reason.startswith(
        "only in after: the target failed with exit status 1 after 251 of 300 marks: "
        "RuntimeError: no more; as far as it came: "
    )
    assert "measure: 251 marks, the target ended with exit status 1" in found.runs
    measured = found.circumstances["after"]["passes"][0]
    assert (measured["mark_count"], measured["exit_status"]) == (251, 1)
    assert found.circumstances["before"]["failure"] is None
    for before in (leaking(40_000), healthy()):
        assert compare(before, ended(healthy(), 251, signal="SIGSEGV")).outcome == "inconclusive"


def test_a_leak_of_a_target_that_failed_is_a_leak() -> None:
    worse = compare(healthy(), ended(leaking(20_000), 251, **FAILED))
    assert worse.outcome == "worse"
    same = compare(leaking(20_000), ended(leaking(20_400), 251, **FAILED))
    assert same.outcome == "unchanged"
    assert "only in after: the target failed with exit status 1" in same.reason


def test_failing_alike_is_comparable() -> None:
    before = ended(leaking(20_000), 300, **FAILED)
    assert compare(before, ended(healthy(), 300, **FAILED)).outcome == "fixed"
    assert compare(before, ended(healthy(), 150, **FAILED)).outcome == "inconclusive"
    assert compare(before, ended(healthy(), 300, exit_status=7)).outcome == "inconclusive"
    # That the target comes to its end now is what a fix is for.
    killed = ended(leaking(20_000), 251, signal="SIGKILL", out_of_memory=True)
    assert compare(killed, ended(healthy(), 300)).outcome == "fixed"


@pytest.mark.parametrize(
    "how",
    [
        {"exit_status": None, "signal": "SIGKILL", "stopped_by": "duration"},
        {"exit_status": 1, "stopped_by": "limit"},
        {"signal": "SIGTERM"},
    ],
)
def test_what_was_stopped_has_not_failed(how: dict[str, object]) -> None:
    found = compare(ended(leaking(20_000), 300), ended(healthy(), 251, **how))
    assert found.outcome == "fixed"


def test_a_site_is_not_fixed_where_the_heap_is_not_decided() -> None:
    short = s.run(rss=s.noise(COUNT, 40_000), sites={"keep": s.steady(7, 50_000)})
    for found, side in (
        (compare(leaking(20_000), short), "after"),
        (compare(short, leaking(20_000)), "before"),
    ):
        heap = found.resources.set_index("name").loc["heap_bytes"]
        assert heap[f"{side}_verdict"] == "inconclusive"
        (site,) = found.sites.to_dict("records")
        assert site["outcome"] == "not decided"
        assert math.isnan(site[f"{side}_rate"])
        assert "to 0 B" not in comparison_text(found)
        assert plain(site)[f"{side}_rate"] is None


def test_a_site_that_an_undecided_heap_excludes_is_fixed() -> None:
    """It is no suspect any more, and what the whole heap may grow by at most is far less."""

    def with_heap(high: float, **more: Any) -> Comparison:
        sides = leaking(20_000), healthy()
        after = told(sides[1], heap_bytes=undecided(-40, high, excluded=high, **more))
        return compare(*sides, (judge(sides[0]), after))

    found = with_heap(300)
    (site,) = found.sites.to_dict("records")
    assert (site["outcome"], site["after_rate"], site["after_most"]) == ("fixed", 0.0, 300)
    assert "19.5 KiB to at most 300 B" in comparison_text(found)
    assert "at most 300 B" in comparison_bundle(found)["text/html"]
    # More may be left of it, nobody saw enough, or more of the same would not decide.
    for doubtful in (with_heap(15_000), with_heap(300, span=3.0), with_heap(300, more_x=0.0)):
        assert set(doubtful.sites["outcome"]) == {"not decided"}


def test_resident_memory_that_does_not_show_a_leak_yet_does_not_hide_what_is_better() -> None:
    """The heap leaked, and what it may still grow by is a small part of that."""
    before, after = leaking(20_000), healthy()
    first = told(before, rss_bytes=undecided(-90_000, 90_000))
    second = told(after, heap_bytes=undecided(-40, 300, excluded=300))
    found = compare(before, after, (first, second))
    assert found.outcome == "improved", found.reason
    assert "heap_bytes: better; not decided: rss_bytes, heap_bytes" in found.reason


def in_file(data: s.RunData, script: str) -> s.RunData:
    """The run, as of a script in this file."""
    seen = script.removeprefix("./")
    frames = data.frames.assign(file=data.frames["file"].replace("app.py", seen))
    tables = {name: data.table(name) for name in ("samples", "snapshots", "heap", "stacks")}
    meta = {**data.meta, "command": {"argv": ["python", script, "5"]}}
    return s.RunData.from_tables(meta, **tables, frames=frames)


@pytest.mark.parametrize("other", ["./fix/app.py", "app_fixed.py", "/srv/app.py"])
def test_a_site_is_the_same_in_another_checkout(other: str) -> None:
    before = in_file(leaking(20_000), "app.py")
    (site,) = compare(before, in_file(leaking(10_000), other)).sites.to_dict("records")
    assert (site["function"], site["file"], site["outcome"]) == ("keep", "app.py", "improved")
    # Another function of the same script is another site.
    elsewhere = s.run(sites={"hold": s.leak(COUNT, 20_000)}, rss=s.leak(COUNT, 20_000))
    found = compare(before, in_file(elsewhere, other)).sites
    assert dict(zip(found["function"], found["outcome"], strict=True)) == {
        "keep": "fixed",
        "hold": "worse",
    }


def test_one_leak_for_another_is_told_from_a_fix_that_does_nothing() -> None:
    def both(keep: s.Series, hold: s.Series) -> s.RunData:
        return s.run(rss=s.leak(COUNT, 20_000), sites={"keep": keep, "hold": hold})

    small, large = s.leak(COUNT, 300), s.leak(COUNT, 20_000)
    before = both(large, s.steady(COUNT, 50_000))
    swapped = compare(before, both(s.steady(COUNT, 50_000), large))
    assert swapped.outcome == "unchanged"
    told = "; one leak for another: keep (app.py:10) leaks no more, hold (app.py:11) does instead"
    assert swapped.reason.endswith(told)
    for other in (leaking(20_000), leaking(10_000), both(large, small)):
        assert "instead" not in compare(before, other).reason
    less = compare(before, both(s.steady(COUNT, 50_000), s.leak(COUNT, 5_000)))
    assert less.outcome == "improved"
    assert less.reason.endswith(told)


def test_where_a_new_leak_is_told_is_its_line_after() -> None:
    before = s.run(sites={"keep": s.steady(COUNT, 50_000), "gone": s.leak(COUNT, 20_000)})
    after = s.heap_tables({"keep": s.leak(COUNT, 20_000)}, line_shift=30)
    found = compare(before, s.RunData.from_tables(before.meta, **after)).sites
    assert dict(zip(found["function"], found["line"], strict=True)) == {"gone": 11, "keep": 40}


def test_a_site_of_a_role_is_not_fixed_by_another_role() -> None:
    """Sites are known of the heap that grows most only."""
    child = {"grow": s.leak(COUNT, 90_000)}
    before = with_child(without_heap(), KID, GROWS, sites=child)
    heap = s.run(rss=s.noise(COUNT, 40_000), sites={"keep": s.leak(COUNT, 200_000)})
    less = {"keep": s.leak(COUNT, 20_000)}
    after = with_child(heap, KID, GROWS, sites=less)
    sites = compare(before, after).sites.set_index("role")
    assert sites.loc[KID]["outcome"] == "not measured"
    assert sites.loc["main"]["outcome"] != "fixed"


def test_each_side_has_its_unit() -> None:
    by_time = s.run(
        rss=s.leak(COUNT, 20_000),
        sites={"keep": s.leak(COUNT, 20_000)},
        marks=False,
        seconds_per_point=0.1,
    )
    found = compare(leaking(20_000), by_time)
    assert found.outcome == "inconclusive"
    row = found.resources.set_index("name").loc["rss_bytes"]
    assert (row["before_unit"], row["after_unit"], row["unit"]) == ("iteration", "second", "second")
    assert math.isnan(row["ratio"])
    assert set(found.sites["outcome"]) == {"inconclusive"}
    rss, site = (
        next(line for line in comparison_text(found).splitlines() if text in line)
        for text in ("rss_bytes  ", "keep  ")
    )
    for line in (rss, site, comparison_bundle(found)["text/plain"]):
        assert "iteration" in line
        assert "second" in line


def test_both_sides_of_a_long_series_are_told_in_one_pace() -> None:
    minutes = np.arange(600.0)
    before, after, short = (
        ll.from_series({"rss_bytes": (60 * minutes[:count], 50e6 + slope * minutes[:count])})
        for slope, count in ((1 << 20, 600), (1 << 18, 600), (1 << 18, 16))
    )
    found = ll.compare(before, after)
    assert "leak 60 MiB/hour  leak 15 MiB/hour" in comparison_text(found)
    html = comparison_bundle(found)["text/html"]
    assert "before, per hour" in html
    assert "leak, 60 MiB" in html
    # What was seen for a quarter of an hour has no rate by the hour, and nor has the other side.
    assert "leak 17.1 KiB/second" not in comparison_text(found)
    assert "leak 17.1 KiB/second" in comparison_text(ll.compare(before, short))
