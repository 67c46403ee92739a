"""Recorded workloads of the corpus on which other tools are known to fail, each with its failure.

The corpus as a whole is judged by ``make bench-detection``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import recorded
from interpreters import of_fixed_addresses

from leaklab.findings.rss import tried
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.recording import record_run
from leaklab.store import open_run
from leaklab.verdict.judge import Verdict, judge

CORPUS = Path(__file__).parents[2] / "corpus"


def verdict_on(workload: str, tmp_path: Path, *arguments: str) -> Verdict:
    program = next(CORPUS.glob(f"*/{workload}.py"))
    path = record_run(
        RecordOptions(
            command=[str(program), *arguments],
            store=str(tmp_path / "runs"),
            cwd=str(tmp_path),
            duration_seconds=60,
            graphs="never",
        )
    )
    return judge(open_run(str(path)))


@pytest.mark.parametrize(
    ("workload", "function"),
    [
        # Tools that count objects the collector tracks do not see a dict of strings.
        pytest.param("dict_of_atoms", "step", id="a cache of atoms"),
        # Nor what an lru_cache keeps.
        pytest.param("lru_cache_on_method", "__init__", id="lru_cache on a method"),
        # CPython hands out recycled dicts without telling the tracer: the recorder's own must not
        # be among them.
        pytest.param("queue_without_reader", "step", id="nothing but recycled dicts"),
        # Profilers that weigh allocations against frees lose a small leak under churn.
        pytest.param("leak_in_noise", "serve", id="a leak where the working set wanders"),
    ],
)
def test_leaks_that_other_tools_miss(workload: str, function: str, tmp_path: Path) -> None:
    verdict = verdict_on(workload, tmp_path, "--iterations=200")
    assert verdict.verdict == "leak", verdict.reason
    assert function in list(verdict.suspects["function"][:3])


def test_memory_taken_behind_the_tracer_s_back(tmp_path: Path) -> None:
    # tracemalloc and memray see nothing of what a target takes from libc by itself.
    verdict = verdict_on("libc_malloc_through_ctypes", tmp_path, "--iterations=200")
    assert verdict.verdict == "leak", verdict.reason
    resident = verdict.resource("rss_bytes")
    assert resident is not None
    if not of_fixed_addresses(sys.executable):  # there ctypes finds malloc where it is traced
        assert "no traced allocation explains it" in resident.reason
    assert resident.rate == pytest.approx(40_000, rel=0.15)


def test_imports_late_in_the_run_are_no_leak(tmp_path: Path) -> None:
    # "Not freed at exit" names imports first; two snapshots call them growth.
    # Where snapshots are few (a busy machine) it may stay undecided; it is never an alarm.
    verdict = verdict_on("lazy_imports", tmp_path)
    assert verdict.verdict != "leak", verdict.reason


def test_what_gives_free_memory_back_is_tried_in_a_pass_of_its_own(tmp_path: Path) -> None:
    # Each batch is freed but for its last record: malloc keeps the pages below that one.
    run = recorded.record(
        tmp_path,
        """
        from leaklab import mark
        kept = []
        for _ in range(30):
            batch = [bytearray(20_000) for _ in range(500)]
            kept.append(bytearray(20_000))
            del batch
            mark()
        """,
        passes=("measure", "trim", "mmap"),
    )
    trials = tried(run).set_index("pass")
    assert trials.loc["trim", "given_back_bytes"] > 5_000_000
    assert set(trials.index) == {"trim", "mmap"}
    assert not len(run.snapshots)
    assert not len(run.graph_dumps)
