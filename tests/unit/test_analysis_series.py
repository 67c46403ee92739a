"""A resource over the run: roles summed, ends cut off, the right figures chosen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.analysis import series

COUNT = 40


def figures(process: int, start: float, values: list[float], name: str = "rss_bytes") -> dict:
    count = len(values)
    return {
        "pass": "measure",
        "process": process,
        "time_seconds": start + np.arange(count, dtype=float),
        "mark": None,
        "quiescent": False,
        "name": name,
        "value": values,
    }


def of_workers(*parts: dict, ended: dict[int, float] | None = None) -> s.RunData:
    """A run of workers, by time; ``ended``: when a process was seen to end."""
    numbers = sorted({part["process"] for part in parts})
    processes = [
        {
            "process": number,
            "pass": "measure",
            "role": "worker",
            "ended_seconds": (ended or {}).get(number),
        }
        for number in numbers
    ]
    samples = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
    return s.RunData.from_tables({"processes": processes}, samples=samples)


def test_processes_of_a_role_are_one_figure_and_leave_it_when_they_end() -> None:
    data = of_workers(figures(1, 0.0, [10.0] * 12), figures(2, 4.5, [100.0] * 20), ended={1: 11.2})
    frame = series.resource_series(data, "rss_bytes", role="worker")
    assert frame.attrs == {
        "unit": "second", "name": "rss_bytes", "role": "worker", "pass": "measure",
    }  # fmt: skip
    value = frame.set_index("time_seconds")["value"]
    assert (value[:4.4] == 10).all()
    assert (value[4.5:11.2] == 110).all()
    assert (value[11.5:] == 100).all()


def test_a_role_does_not_see_another() -> None:
    data = of_workers(figures(1, 0.0, [10.0] * 12))
    assert not len(series.resource_series(data, "rss_bytes"))
    assert series.roles(data, "measure") == ["worker"]


def test_marks_are_the_axis_from_eight_on_and_seconds_below() -> None:
    enough = s.run(rss=s.steady(series.MINIMUM_MARKS, 1.0))
    few = s.run(rss=s.steady(series.MINIMUM_MARKS - 1, 1.0))
    assert series.resource_series(enough, "rss_bytes").attrs["unit"] == "iteration"
    assert series.resource_series(few, "rss_bytes").attrs["unit"] == "second"


def test_figures_after_a_collection_are_not_mixed_with_others() -> None:
    marks = np.arange(1.0, 41)
    exact, collected = np.ones(40, bool), marks % 2 == 0
    chosen, unit = series.choose_points(marks, exact, collected, marks)
    assert unit == "iteration"
    assert marks[chosen].tolist() == marks[collected].tolist()
    # They stop in the middle of the run: then the others stand for it.
    early = collected & (marks < 20)
    chosen, _ = series.choose_points(marks, exact, early, marks)
    assert chosen.any()
    assert not (chosen & early).any()


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([5.0] * 30 + [1.0, 1.0], 30),  # given back at the end
        ([5.0] * 32, 32),
        ([1.0, 9.0] * 16, 30),  # the last tooth may be the end as well
        ([5.0, 1.0], 2),  # too short to tell
    ],
)
def test_what_is_given_back_at_the_end_is_no_work(values: list[float], kept: int) -> None:
    assert series.work_end(np.array(values)) == kept


RISE, FALL = [float(n) for n in range(100)], [90.0, 81.0, 72.0, 63.0, 54.0, 45.0]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (RISE + FALL, 100),  # sessions closed one by one
        (RISE + FALL[:4], 104),  # not half of all: what work may do as well
        ([*RISE, *FALL, 54.0, 63.0], 108),  # it goes on
        (RISE + [99.0 - 2 * n for n in range(40)], 140),  # it took half as long as the growth
    ],
)
def test_a_program_that_ends_gives_back_bit_by_bit(values: list[float], kept: int) -> None:
    assert series.work_end(np.array(values), ends=True) == kept


def test_names_come_in_the_order_they_are_reported() -> None:
    data = s.run(
        rss=s.steady(COUNT, 1.0),
        sites={"keep": s.steady(COUNT, 5.0)},
        fd_count=s.steady(COUNT, 1.0),
        gauge__b=s.steady(COUNT, 1.0),
        gauge__a=s.steady(COUNT, 1.0),
    )
    names = series.resource_names(data)
    assert names.index("rss_bytes") < names.index("fd_count")
    assert set(names) == {"heap_bytes", "rss_bytes", "fd_count", "gauge:a", "gauge:b"}
    assert names[-2:] == ["gauge:a", "gauge:b"]


def test_null_is_no_number_and_no_flag() -> None:
    assert np.isnan(series.as_floats(pd.Series([1, None], dtype="Int64"))[1])
    assert series.as_flags(pd.Series([True, None, False], dtype=object)).tolist() == [
        True, False, False,
    ]  # fmt: skip
