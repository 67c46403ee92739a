"""A verdict of ``bounded`` over the time a program is to run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import synthetic as s

from leaklab import judge_series
from leaklab.cli import main
from leaklab.errors import UsageError
from leaklab.results.run import Run
from leaklab.verdict.horizon import LEVEL_SHARE, over

COUNT = 200
DAY = 86_400.0


def noisy() -> Run:
    """200 marks of a program that is level but for its noise."""
    return Run(s.run(rss=50e6 + s.noise(COUNT, 400_000)))


def test_what_is_bounded_once_more_need_not_be_for_a_month() -> None:
    run = noisy()
    usual = run.verdict().resource("rss_bytes")
    assert usual.verdict == "bounded" and usual.excluded > 0
    month = replace(run, horizon_seconds=30 * DAY).verdict()
    entry = month.resource("rss_bytes")
    assert month.verdict == entry.verdict == "inconclusive"
    assert "in 30 days growth of up to" in entry.reason
    assert entry.more_x > 0
    # The same length once more, said in seconds, changes nothing.
    assert replace(run, horizon_seconds=1.0).verdict().verdict == "bounded"


def test_growth_beyond_a_share_of_the_level_matters() -> None:
    entry = noisy().verdict().resource("rss_bytes")
    enough = LEVEL_SHARE * entry.last / entry.excluded
    fine = over(entry, 0.99 * enough, COUNT, "30 days", level=entry.last)
    assert fine.verdict == "bounded"
    assert "more in 30 days" in fine.reason
    undecided = over(entry, 4 * enough, COUNT, "30 days", level=entry.last)
    assert undecided.verdict == "inconclusive"
    # A slope's error falls with the length of the run to the power of three halves.
    assert undecided.more_x == pytest.approx((4 ** (2 / 3) - 1) * COUNT, rel=0.01)


def test_a_leak_stays_one_whatever_the_horizon() -> None:
    leak = Run(s.run(rss=s.leak(COUNT, 50_000)))
    assert replace(leak, horizon_seconds=30 * DAY).verdict().verdict == "leak"


def test_the_horizon_a_run_was_recorded_with_is_kept() -> None:
    run = noisy()
    run.meta["horizon_seconds"] = 30 * DAY
    assert run.verdict().verdict == "inconclusive"


def test_show_asks_for_a_horizon(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rss.csv"
    level = 50e6 + s.noise(COUNT, 400_000)
    rows = [f"{second},{value:.0f}" for second, value in enumerate(level)]
    path.write_text("\n".join(["time_seconds,rss_bytes", *rows]))
    found = {}
    for horizon in ("1m", "30d"):
        main(["show", str(path), "--json", "--horizon", horizon])
        found[horizon] = json.loads(capsys.readouterr().out)["verdict"]
    assert found == {"1m": "bounded", "30d": "inconclusive"}
    assert main(["show", str(path), "--horizon", "soon"]) == 2
    assert "not a duration: soon" in capsys.readouterr().err


def test_a_series_is_judged_over_a_horizon_in_units_of_its_own() -> None:
    x, level = range(COUNT), 50e6 + s.noise(COUNT, 400_000)
    assert judge_series(x, level, horizon=COUNT).verdict == "bounded"
    assert judge_series(x, level, horizon=30 * DAY).verdict == "inconclusive"
    with pytest.raises(UsageError, match="horizon out of range: -1"):
        judge_series(x, level, horizon=-1)


def test_a_heap_is_held_against_the_memory_of_its_process() -> None:
    heap = 1e6 + s.noise(COUNT, 2_000)
    data = s.run(rss=100e6 + s.noise(COUNT, 2_000), sites={"keep": heap})
    usual = Run(data).verdict().resource("heap_bytes")
    # Marks come a hundred a second; three times what matters of the heap alone.
    horizon_seconds = 3 * LEVEL_SHARE * usual.last / usual.excluded / 100
    found = Run(data, horizon_seconds=horizon_seconds).verdict().resource("heap_bytes")
    assert found.verdict == "bounded", found.reason


def test_resident_memory_that_stands_still_may_hide_growth_within_its_pages() -> None:
    still = 50e6 + s.steady(COUNT, 0)
    alone = judge_series(range(COUNT), still, unit="iteration", horizon=1_000 * (COUNT - 1))
    assert alone.verdict == "inconclusive"
    assert "growth of up to 1000 MiB would not have shown" in alone.reason
    # As long as that adds up to what matters: a tenth of 50 MB, by a megabyte a run.
    assert alone.more_x == pytest.approx((COUNT - 1) * (1_000 * 2**20 / 5e6 - 1), rel=0.01)
    assert judge_series(range(COUNT), still, unit="iteration", horizon=COUNT).verdict == "bounded"


def test_the_exact_heap_says_what_resident_memory_does_not_show() -> None:
    rss = s.steady(COUNT, 0)
    still = s.run(rss=rss, sites={"keep": s.steady(COUNT, 200_000)})
    found = Run(still, horizon_seconds=30 * DAY).verdict()
    assert found.verdict == "bounded"
    assert "at most 0 B more in 30 days" in found.resource("rss_bytes").reason
    growing = s.run(rss=rss, sites={"keep": s.leak(COUNT, 49)})
    assert Run(growing).verdict().resource("rss_bytes").verdict == "bounded"
    found = Run(growing, horizon_seconds=30 * DAY).verdict().resource("rss_bytes")
    assert found.verdict == "inconclusive", found.reason
