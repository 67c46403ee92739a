"""Imports are no part of the work, which is looked at as closely as any start."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from leaklab.analysis.imports_end import imports_end
from leaklab.analysis.looks import evenly
from leaklab.analysis.work import after_imports
from leaklab.probe import imports, marks
from leaklab.recorder.processes.looks import PAUSE_SHARE, Looks

NIGHTLY = np.concatenate(
    [np.arange(0, 2, 0.05), *(np.arange(k, k + 0.3, 0.1) for k in range(5, 45, 5))]
)


@pytest.mark.parametrize(
    ("told", "over", "end"),
    [
        (np.arange(0, 2, 0.05), 15.0, 1.95),
        (np.arange(0, 90, 0.7), 108.0, 89.6),
        # One library, with a pause for what it loads of C.
        ([0.1, 0.2, 0.3, 0.7, 0.8], 10.0, 0.8),
        # What goes on to import as it works, until the end or not.
        (np.arange(0, 20, 0.2), 20.0, None),
        (NIGHTLY, 46.0, 1.95),
        (NIGHTLY, 55.0, 1.95),
        ([], 10.0, None),
        ([0.01], 0.02, None),
    ],
)
def test_the_first_imports_end_where_modules_become_rare(
    told: Any, over: float, end: float | None
) -> None:
    found = imports_end(told, 0.0, over)
    assert found == (end if end is None else pytest.approx(end))


def test_imports_count_from_the_start_of_their_process() -> None:
    told = [100.0, 100.2, 100.4]
    assert imports_end(told, 100.0, 110.0) == 100.4
    assert imports_end(told, 101.0, 110.0) is None


def test_a_role_works_from_when_its_first_process_does() -> None:
    points = pd.DataFrame({"process": 0, "time_seconds": [0.5, 2, 4, 6], "mark": pd.NA})
    members: dict[int, dict[str, Any]] = {
        0: {"started_seconds": 0.0, "work_begun_seconds": 3.0},
        1: {"started_seconds": 1.0, "work_begun_seconds": 5.0},
    }
    assert after_imports(points, members).tolist() == [False, False, True, True]
    members[2] = {"started_seconds": 1.0, "work_begun_seconds": None}
    assert after_imports(points, members).tolist() == [False, True, True, True]
    assert after_imports(points.assign(mark=1), members).all()


def test_looks_begin_anew_once_imports_have_paused() -> None:
    looks = Looks(0.05, 0.1, started=0.0)
    for age in range(60):
        looks.begin_work(imported=float(age), now=float(age))
        if looks.idle_snapshots.due(age, age):
            looks.idle_snapshots.spent(1.0, age, age)
    assert looks.idle_since_seconds == 0 and looks.idle_snapshots.step > 1
    paused = 59 / (1 - PAUSE_SHARE)
    looks.begin_work(imported=59.0, now=paused - 0.01)
    assert looks.idle_since_seconds == 0
    looks.begin_work(imported=59.0, now=paused + 0.01)
    since = looks.idle_since_seconds
    assert paused - 0.1 < since < paused + 0.01 and looks.idle_snapshots.step == 0.1
    assert since / 0.1 == pytest.approx(round(since / 0.1))
    looks.begin_work(imported=59.0, now=100.0)
    assert looks.idle_since_seconds == since


def test_steps_count_from_where_looks_began_anew() -> None:
    members = {0: {"started_seconds": 1.0, "looks": {"snapshot_step_seconds": 2.0}}}
    time_seconds = np.array([4.0, 5.0, 6.0, 7.0])
    options: Any = (time_seconds, np.zeros(4), members, "snapshot_step_seconds")
    assert evenly(*options, since_start=True).tolist() == [True, True, False, True]
    members[0]["looks"]["snapshots_since_seconds"] = 3.0  # type: ignore[index]
    assert evenly(*options, since_start=True).tolist() == [True, False, True, False]


def test_modules_that_are_looked_for_are_told_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    now = 100.0
    monkeypatch.setattr(
        marks, "_session", SimpleNamespace(importing=told.append, begun_seconds=100.0)
    )
    monkeypatch.setattr(imports, "monotonic", lambda: now)
    monkeypatch.setattr(imports._Heard, "due_seconds", 0.0)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    imports.watch()
    imports.watch()
    assert sys.meta_path.count(imports._Heard) == 1
    while now < 164:
        assert imports._Heard.find_spec("some_module") is None
        now += 0.01
    assert 64 + 64 < len(told) < 500
    assert np.diff(told).max() < 1.1
    # What ends at once says nothing.
    assert told[0] - 100.0 >= imports.LEAST_SECONDS
