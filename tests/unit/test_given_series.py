"""Series that are handed over in Python: their times in any unit, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

import leaklab as ll
from leaklab.analysis.given_series import figures, places
from leaklab.errors import UsageError
from leaklab.verdict.sequential import judge_followed

COUNT = 60
MINUTES = pd.date_range("2025-11-01", periods=COUNT, freq="min")
SECONDS = 60.0 * np.arange(COUNT)
# 30 MiB an hour.
VALUES = (200 + 0.5 * np.arange(COUNT)) * 2**20
RATE = 0.5 * 2**20 / 60

TIMES: dict[str, Any] = {
    "DatetimeIndex": MINUTES,
    "with a zone": MINUTES.tz_localize("Europe/Berlin"),
    "Series": pd.Series(MINUTES),
    "PeriodIndex": MINUTES.to_period("min"),
    "ns": MINUTES.to_numpy("datetime64[ns]"),
    "s": MINUTES.to_numpy("datetime64[s]"),
    "datetimes": list(MINUTES.to_pydatetime()),
    "datetimes with a zone": [moment.replace(tzinfo=UTC) for moment in MINUTES.to_pydatetime()],
    "Timestamps": list(MINUTES),
    "TimedeltaIndex": pd.to_timedelta(SECONDS, unit="s"),
    "timedelta64": SECONDS.astype("timedelta64[s]").astype("timedelta64[ms]"),
    "timedeltas": [timedelta(seconds=second) for second in SECONDS],
    "epoch in nanoseconds": MINUTES.as_unit("ns").astype("int64"),
    "epoch in seconds": MINUTES.as_unit("s").astype("int64"),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_of_any_kind_are_seconds(kind: str) -> None:
    at = places(TIMES[kind], "x", "second")

    assert at.values - at.started() == pytest.approx(SECONDS)


def test_dates_are_days_and_what_is_missing_stays_missing() -> None:
    days = [date(2025, 11, 1), None, date(2025, 11, 3), pd.NaT]
    at = places(days, "x", "second").values

    assert at[2] - at[0] == 2 * 86_400
    assert np.isnan(at[[1, 3]]).all()
    assert np.isnan(places(pd.DatetimeIndex([pd.NaT]), "x", "second").values).all()
    assert np.isnan(figures(pd.Series([None, 1], dtype="Int64"), "y")).tolist() == [True, False]


def test_iterations_are_never_times() -> None:
    assert places([10**12, 10**12 + 1], "x", "iteration").values[0] == 1e12
    with pytest.raises(UsageError, match="x are datetimes where unit is iteration"):
        ll.judge_series(MINUTES, VALUES, unit="iteration")


@pytest.mark.parametrize("kind", ["DatetimeIndex", "TimedeltaIndex", "datetimes"])
def test_a_rate_over_datetimes_is_per_second(kind: str) -> None:
    x = TIMES[kind]

    assert ll.judge_series(x, VALUES).rate == pytest.approx(RATE)
    assert judge_followed(x, VALUES).rate == pytest.approx(RATE)
    assert ll.from_series({"rss_bytes": (x, VALUES)}).verdict().resources[0].rate == pytest.approx(
        RATE
    )


def test_a_series_of_pandas_is_its_index_and_its_values() -> None:
    for index in (MINUTES, SECONDS):
        run = ll.from_series({"rss_bytes": pd.Series(VALUES, index=index)})
        assert run.verdict().resources[0].rate == pytest.approx(RATE)
    frame = pd.DataFrame({"rss_bytes": VALUES, "fd_count": 3}, index=MINUTES)
    run = ll.from_series(frame)
    assert [entry.name for entry in run.verdict().resources] == ["rss_bytes", "fd_count"]
    assert run.meta["created"] == "2025-11-01T00:00:00Z"


def test_series_by_the_clock_share_it() -> None:
    later = pd.Series(VALUES, index=MINUTES + pd.Timedelta("1h"))
    run = ll.from_series({"rss_bytes": pd.Series(VALUES, index=MINUTES), "gauge:queue": later})

    assert run.data.samples.groupby("name")["time_seconds"].min().to_dict() == {
        "rss_bytes": 0.0,
        "gauge:queue": 3600.0,
    }
    with pytest.raises(UsageError, match="datetimes for rss_bytes, numbers for fd_count"):
        ll.from_series({"rss_bytes": later, "fd_count": (SECONDS, VALUES)})


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "words": (
        lambda: ll.from_series({"rss_bytes": (SECONDS, ["n/a"] * COUNT)}),
        "not numbers in the values of rss_bytes: could not convert string to float: 'n/a'; ",
    ),
    "datetimes as text": (
        lambda: ll.judge_series([str(moment) for moment in MINUTES], VALUES),
        "not numbers in x: .*'2025-11-01 00:00:00'; give numbers, datetimes or timedeltas",
    ),
    "datetimes as values": (
        lambda: ll.judge_series(SECONDS, MINUTES),
        "not numbers in y: datetimes",
    ),
    "a list of two kinds": (
        lambda: ll.judge_series([datetime(2025, 11, 1, tzinfo=UTC), 60.0], [1, 2]),
        "no time in x: 60.0; ",
    ),
    "zones and none": (
        lambda: ll.judge_series([MINUTES[0], MINUTES[1].tz_localize("UTC")], [1, 2]),
        "datetimes with and without a zone in x; ",
    ),
    "months": (
        lambda: ll.judge_series(np.arange(2).astype("timedelta64[M]"), [1, 2]),
        "x are timedelta64",
    ),
    "a number": (lambda: ll.judge_series(5, 5), "not numbers in x: 'int' object"),
    "no pair": (
        lambda: ll.from_series({"rss_bytes": VALUES}),
        r"no \(x, values\) of rss_bytes: ndarray; give",
    ),
    "a series itself": (
        lambda: ll.from_series(pd.Series(VALUES)),  # type: ignore[arg-type]
        "no series by resource: Series; give",
    ),
    "no mapping": (lambda: ll.from_series([VALUES]), "no series by resource: list; give"),
    "an index of words": (
        lambda: ll.from_series({"rss_bytes": pd.Series([1.0, 2.0], index=["a", "b"])}),
        "not numbers in x of rss_bytes: .*'a'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_series_is_refused_in_one_line(what: str) -> None:
    call, text = REFUSED[what]
    with pytest.raises(UsageError, match=text) as refused:
        call()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["rss", "foo", "gauge", "gauge:", "fd_count:x", 3])
def test_an_unknown_resource_is_refused_with_those_allowed(name: Any) -> None:
    for call in (
        lambda: ll.from_series({name: (SECONDS, VALUES)}),
        lambda: ll.judge_series(SECONDS, VALUES, resource=name),
    ):
        with pytest.raises(UsageError, match=f"unknown resource: {name}; allowed: rss_bytes, .*"):
            call()


@pytest.mark.parametrize("name", ["heap_bytes", "uss_bytes"])
def test_what_would_get_no_verdict_is_refused_with_the_name_that_does(name: str) -> None:
    with pytest.raises(UsageError, match=f"no verdict on {name} .*; give it as gauge:{name}"):
        ll.from_series({name: (SECONDS, VALUES)})
    assert ll.from_series({f"gauge:{name}": (SECONDS, VALUES)}).verdict().verdict == "leak"


def test_resident_memory_in_another_unit_than_bytes_is_refused() -> None:
    in_mib = 200 + np.arange(100.0)
    for call in (
        lambda: ll.from_series({"rss_bytes": (np.arange(100.0), in_mib)}),
        lambda: ll.judge_series(np.arange(100.0), in_mib),
    ):
        with pytest.raises(UsageError, match=r"rss_bytes of at most 299, .*; give bytes"):
            call()


@pytest.mark.parametrize("figure", [0.15, 1 / 3, 100.3])
def test_a_figure_that_never_changes_has_no_rate_that_is_not_excluded(figure: float) -> None:
    entry = ll.judge_series(np.arange(600.0), np.full(600, figure), resource="gauge:load")
    assert entry.excluded == 0.0


def test_a_verdict_on_a_series_reads_as_a_sentence() -> None:
    found = ll.judge_series(range(100), [1e6 + 5e4 * k for k in range(100)])
    assert str(found).startswith("leak. rss_bytes grew by 48.8 KiB per second")
