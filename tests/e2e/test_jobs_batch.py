"""Batches of recordings: planned, run in processes of their own, resumed, and on a dask cluster."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from leaklab.errors import LeaklabError, UsageError
from leaklab.jobs import batch
from leaklab.jobs.batch import run_batch
from leaklab.jobs.tasks import RecordingTask, TaskResult, plan, run_task

RECORDING_COUNT = 8

# One real recording of a tiny target, measure pass only, in a process of its own.
RECORD = """
import json, sys
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.recording import record_run
print(record_run(RecordOptions(command=["tiny.py"], name="tiny", variant=sys.argv[1],
                               store=sys.argv[2], passes=("measure",))))
"""
TINY = "from leaklab import mark\nfor _ in range(3):\n    mark()\n"


def tasks_of(store: Path, count: int) -> list[RecordingTask]:
    return [RecordingTask("tiny", None, repetition=n, store=str(store)) for n in range(count)]


def test_a_plan_is_every_combination() -> None:
    tasks = plan(
        ["unbounded-cache"],
        variants=["before", "better_fix"],
        parameters={"iterations": ["100", "200"], "payload_bytes": ["1000"]},
        repetitions=3,
    )
    assert len(tasks) == 2 * 2 * 3
    assert len({task.digest for task in tasks}) == len(tasks)
    assert tasks[0].label == "unbounded-cache/before (iterations=100,payload_bytes=1000)"
    assert tasks[2].label.endswith(" #3")
    assert [task.fresh for task in tasks[:3]] == [False, True, True]
    assert len(plan([], quick=True)) > 50


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cases": ["unbounded-cash"]}, "unknown case: unbounded-cash; did you mean"),
        ({"variants": ["befor"]}, "none of the cases has a variant: befor"),
        ({"parameters": {"iteration": ["1"]}}, "none of the cases has a parameter: iteration"),
        ({"parameters": {"iterations": ["ten"]}}, "parameter iterations: 'ten'; allowed is int"),
        ({"repetitions": 0}, "repetitions: 0"),
    ],
)
def test_a_wrong_plan_is_refused(given: dict[str, Any], message: str) -> None:
    cases = given.pop("cases", ["unbounded-cache"])
    with pytest.raises(UsageError, match=message):
        plan(cases, **given)


def test_a_recording_is_judged_kept_and_not_made_twice(tmp_path: Path) -> None:
    task = plan(["unbounded-cache"], variants=["before"], quick=True, store=str(tmp_path / "store"))

    first = run_batch(task)

    (result,) = first.results
    assert (result.state, result.error) == ("done", None)
    (run,) = result.runs
    assert (run["verdict"], run["as_expected"]) == ("leak", True)
    assert (Path(run["path"]) / "run.json").exists()
    assert first.exit_status() == 0
    assert first.exit_status(("leak",)) == 3
    again = run_batch(task)
    assert [(r.state, r.runs) for r in again.results] == [("kept", result.runs)]
    other = replace(task[0], parameters={"iterations": 110})
    assert other.digest != task[0].digest


def test_what_was_done_is_kept_while_its_run_is_there_wherever_the_store_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun: list[RecordingTask] = []

    def record(task: RecordingTask, time_limit_seconds: float) -> TaskResult:
        begun.append(task)
        folder = Path(str(task.store), "tiny", "before", f"run-{len(begun)}")
        folder.mkdir(parents=True)
        (folder / "samples.parquet").write_bytes(b"rows")
        meta = {"state": "complete", "row_counts": {"samples": 3, "labels": 0}}
        (folder / "run.json").write_text(json.dumps(meta))
        run = {"path": str(folder), "variant": "before", "verdict": "leak", "as_expected": True}
        return TaskResult(task.label, "done", [run])

    def paths(store: str) -> list[str]:
        done = run_batch(tasks_of(Path(store), 2), run=record, parallel=1)
        return [str(run["path"]) for result in done.results for run in result.runs]

    first = paths("store")
    assert first == [f"store/tiny/before/run-{number}" for number in (1, 2)]
    Path("store").rename("moved")
    assert paths("moved") == [path.replace("store", "moved") for path in first]
    assert len(begun) == 2

    Path("moved/tiny/before/run-1/samples.parquet").unlink()
    assert paths("moved") == ["moved/tiny/before/run-3", "moved/tiny/before/run-2"]
    # Made anew: the other repetition's run, which is there, is not this one's.
    assert (begun[2].repetition, begun[2].fresh) == (0, True)
    shutil.rmtree("moved/tiny")
    assert paths("moved") == ["moved/tiny/before/run-4", "moved/tiny/before/run-5"]


def test_what_cannot_run_is_skipped_or_failed_by_name(tmp_path: Path) -> None:
    tasks = [
        RecordingTask("review-002", None, store=str(tmp_path)),
        RecordingTask("unbounded-cache", "nowhere", store=str(tmp_path)),
    ]
    skipped, failed = run_batch(tasks).results
    assert skipped.state == "skipped"
    assert failed.state == "failed"
    assert "unknown variant of unbounded-cache: nowhere" in str(failed.error)


def test_a_recording_beyond_its_time_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    # A number that nobody else on the machine has a target with, and more than there is time for.
    iterations = 100000 - os.getpid() % 10000
    task = RecordingTask(
        "unbounded-cache", "before", {"iterations": iterations}, store=str(tmp_path / "store")
    )
    result = run_task(task, time_limit_seconds=4.0)
    assert (result.state, result.error) == ("failed", "stopped after 4 seconds")
    left = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"])]
    assert not [line for line in left if line and f"--iterations={iterations}" in line]


@pytest.mark.cluster
@pytest.mark.slow
def test_a_killed_worker_loses_no_recording_and_a_poisonous_one_fails_alone(
    tmp_path: Path,
) -> None:
    pytest.importorskip("distributed")
    (tmp_path / "tiny.py").write_text(TINY)
    store, folder = tmp_path / "store", str(tmp_path)
    program, python = RECORD, sys.executable

    def record(task: Any, time_limit_seconds: float) -> Any:
        # Inside: what a worker needs must travel with the function.
        import os
        import signal
        import subprocess

        if task.case == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        done = subprocess.run(
            [python, "-c", program, str(task.repetition), task.store],
            cwd=folder, capture_output=True, text=True, timeout=time_limit_seconds, check=True,
        )  # fmt: skip
        path = done.stdout.strip()
        return TaskResult(
            task.label,
            "done",
            [{"path": path, "variant": "x", "verdict": "bounded", "as_expected": True}],
        )

    killed: list[int] = []

    def look(process: psutil.Process) -> tuple[int, list[str]]:
        try:
            return process.ppid(), list(process.cmdline())
        except psutil.Error:  # it has ended meanwhile
            return 0, []

    def kill_a_worker(line: str) -> None:
        # One that records at this moment; after the next recording, where none is seen to.
        if killed or int(line.partition("/")[0]) < 4:
            return
        seen = {child.pid: look(child) for child in psutil.Process().children(recursive=True)}
        recording = {parent for parent, words in seen.values() if "-c" in words}
        for pid, (_, words) in seen.items():
            if pid in recording and any("spawn_main" in word for word in words):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                return

    tasks = tasks_of(store, RECORDING_COUNT)
    tasks.insert(6, replace(tasks[0], case="poison", repetition=-1))
    result = run_batch(
        tasks, cluster="local", run=record, time_limit_seconds=120, progress=kill_a_worker
    )

    assert len(killed) == 1
    failed = [one for one in result.results if one.state != "done"]
    assert [one.label.split()[0] for one in failed] == ["poison"]
    assert "KilledWorker" in str(failed[0].error)
    assert result.count("done") == RECORDING_COUNT
    paths = {one.runs[0]["path"] for one in result.results if one.runs}
    assert len(paths) == RECORDING_COUNT
    states = [json.loads((Path(path) / "run.json").read_text())["state"] for path in paths]
    assert set(states) == {"complete"}
    # Nothing is left running, and a second batch has only the poison to do.
    assert not subprocess.run(
        ["pgrep", "-f", str(store)], capture_output=True, text=True
    ).stdout  # fmt: skip
    again = run_batch(tasks[:6], run=record)
    assert again.count("kept") == 6


def test_a_cluster_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(batch, "REACH_SECONDS", 1.0)
    with pytest.raises(LeaklabError, match=r"no dask scheduler at: tcp://127\.0\.0\.1:9"):
        run_batch(tasks_of(tmp_path, 1), cluster="tcp://127.0.0.1:9")
