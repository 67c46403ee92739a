"""Files of one moment each: their order in time, and that no clock is made of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic as s

import leaklab as ll
from leaklab.analysis.series import choose_points
from leaklab.cli import main
from leaklab.importers.moments import in_time
from leaklab.verdict.evidence import UNDECIDED, Evidence
from leaklab.verdict.heap_study import study_heap
from leaklab.verdict.judge import judge_heap

NUMBERS = "in the order of the numbers in their names"
DUMPS = """
import sys, tracemalloc
tracemalloc.start(3)
kept = []
def keep():
    kept.extend(bytes(500) for _ in range(1000))
for number in range(24):
    keep()
    tracemalloc.take_snapshot().dump(sys.argv[1] + f"/snap_{number}.snap")
"""
DAY = 86_400.0


def paths(names: Sequence[str]) -> list[Path]:
    return [Path(name) for name in names]


@pytest.mark.parametrize(
    "names",
    [
        [f"snap_{number}.snap" for number in range(24)],
        ["snap.dump", *(f"snap-{number}.dump" for number in range(1, 12))],
        [f"{number}/heap" for number in (8, 9, 10, 11, 100)],
        [f"heap.2026-1-{day}.{hour}" for day in (9, 10) for hour in (8, 12)],
    ],
)
def test_names_in_the_order_of_a_dictionary_are_taken_by_number(names: list[str]) -> None:
    wanted = paths(names)
    assert in_time(sorted(wanted, key=str)) == (wanted, NUMBERS)
    # In most languages a shell leaves out what is neither a letter nor a digit.
    plain = sorted(wanted, key=lambda path: "".join(filter(str.isalnum, str(path))))
    assert in_time(plain)[0] == wanted
    assert in_time(wanted) == (wanted, "")


def test_an_order_that_was_chosen_is_kept() -> None:
    for names in (["s10", "s2", "s1"], ["s2", "s1", "s10"], ["s01", "s02", "s10"]):
        assert in_time(paths(names)) == (paths(names), "")


def test_without_numbers_the_times_of_the_files_say_the_order(tmp_path: Path) -> None:
    after, before = tmp_path / "after.snap", tmp_path / "before.snap"
    for path, second in ((after, 2000), (before, 1000)):
        path.touch()
        os.utime(path, (second, second))
    assert in_time([after, before]) == ([before, after], "in the order of the files' own times")
    assert in_time([before, after]) == ([before, after], "")
    os.utime(before, (2000, 2000))
    assert in_time([after, before]) == ([after, before], "")


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """24 dumps of a constant leak, as a shell hands them over."""
    folder = tmp_path_factory.mktemp("dumps")
    program = folder / "dumping.py"
    program.write_text(DUMPS)
    subprocess.run([sys.executable, str(program), str(folder)], check=True, timeout=60)
    return sorted(str(path) for path in folder.glob("*.snap"))


def test_dumps_with_unpadded_names_are_a_leak(
    dumps: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "--trust-pickle", *dumps, "--store", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert f"24 dumps taken {NUMBERS}" in printed.err
    assert printed.err.count("\n") == 1
    run = ll.open(printed.out.strip())
    [heap] = run.verdict().resources
    assert (heap.verdict, heap.unit) == ("leak", "iteration")
    assert np.all(np.diff(run.data.snapshots["live_bytes"]) > 0)


def test_few_dumps_are_iterations_too(
    dumps: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [path for path in dumps if path.endswith(tuple(f"_{n}.snap" for n in range(6)))]
    assert main(["import", "--trust-pickle", *few, "--store", str(tmp_path)]) == 0
    folder = capsys.readouterr().out.strip()
    assert main(["show", folder]) == 0
    shown = capsys.readouterr().out
    assert "second" not in shown
    assert "which has only 6 figures; record 5 iterations more" in shown
    assert "/iteration" in shown
    assert ll.open(folder).meta["import"]["timed"] is False


@pytest.mark.parametrize("text", ["iteration,rss_mb\n{}", "{}"])
def test_few_figures_without_a_time_are_iterations(tmp_path: Path, text: str) -> None:
    path = tmp_path / "figures"
    if text.startswith("iteration"):
        path.write_text(text.format("".join(f"{n},{50 + n}\n" for n in range(1, 6))))
        run = ll.read(path)
    else:
        path.write_text("".join(f"RSS={50 + n} MB\n" for n in range(5)))
        run = ll.read(path, line=r"RSS=(?P<rss>\d+)")
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.unit == "iteration"
    assert "5 figures" in entry.reason
    assert "second" not in entry.reason


def test_figures_at_units_of_work_have_no_clock() -> None:
    few = ll.from_series({"rss_bytes": (range(1, 6), [5e7] * 5)}, unit="iteration")
    assert [entry.unit for entry in few.verdict().resources] == ["iteration"]
    level = ll.from_series({"rss_bytes": (range(200), 5e7 + s.noise(200, 4e5))}, unit="iteration")
    entry = level.verdict().resource("rss_bytes")
    assert entry is not None
    assert entry.verdict == "bounded"
    # How long an iteration takes is not known: no month is made of it.
    month = replace(level, horizon_seconds=30 * DAY).verdict().resource("rss_bytes")
    assert month is not None
    assert month.verdict == "bounded"
    assert month.reason == f"{entry.reason}; how many iterations 30 days are is not known"


def test_without_a_clock_all_at_marks_are_chosen() -> None:
    marks, none = np.arange(1.0, 6), np.zeros(5, bool)
    chosen, unit = choose_points(marks, ~none, none, marks, clock=False)
    assert (chosen.all(), unit) == (True, "iteration")
    assert choose_points(marks, ~none, none, marks)[1] == "second"


@pytest.mark.parametrize(
    ("code", "shape"),
    [
        ("few", ""), ("slowing", ""), ("weak", ""), ("doubtful", "a curve that levels off"),
        ("unsettled", "one step"), ("hidden", "floor"), ("blind", ""), ("uncovered", ""),
    ],
)  # fmt: skip
def test_an_undecided_site_is_told_in_a_sentence(code: str, shape: str) -> None:
    study = study_heap(s.run(sites={"keep": s.leak(5, 50_000)}))
    assert study is not None
    evidence = Evidence(UNDECIDED, code, more_x=9.0, shape=shape)
    study = replace(study, growing=(replace(study.growing[0], evidence=evidence),))
    reason = judge_heap(study).reason
    assert reason.startswith("is undecided at keep (")
    assert any(
        f"), which {verb} " in reason for verb in ("has", "grew", "changed", "stands", "was")
    )
