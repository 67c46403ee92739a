"""Which processes are followed, and under which label: heads that come, go and come again."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from leaklab.cli import watch
from leaklab.errors import LeaklabError, UsageError
from leaklab.results.run import Run
from leaklab.store import open_run
from leaklab.watch import follow
from leaklab.watch.follow import Follower
from leaklab.watch.matching import is_helper, is_own, matching, watch_arguments
from leaklab.watch.record import Recorder
from leaklab.watch.series import EvenSeries

WAITING = "print('up', flush=True)\nimport sys\nsys.stdin.read()\n"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a service of this test with further arguments; it waits until it is killed."""
    started = []

    def service(*words: str, program: Path = tmp_path / "service.py") -> subprocess.Popen[str]:
        program.parent.mkdir(exist_ok=True)
        program.write_text(WAITING)
        process = subprocess.Popen(
            [sys.executable, str(program), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        return process

    yield service
    for process in started:
        killed(process)


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def pids(follower: Follower) -> dict[str, int]:
    follower.look()
    return {slot: life.process.pid for slot, life in follower.lives.items()}


@pytest.mark.parametrize("looked_between", [False, True])
def test_a_restarted_head_takes_its_own_label_and_the_other_keeps_its(
    start: Start, tmp_path: Path, looked_between: bool
) -> None:
    leaky, healthy = start("leak"), start("ok")
    follower = Follower(patterns=[f"{tmp_path}/service.py"])
    assert pids(follower) == {"main-0": leaky.pid, "main-1": healthy.pid}
    killed(leaky)
    if looked_between:
        assert pids(follower) == {"main-1": healthy.pid}
    leaky = start("leak")
    assert pids(follower) == {"main-0": leaky.pid, "main-1": healthy.pid}
    assert follower.restart_counts == {"main-0": 1, "main-1": 0}


def test_several_patterns_are_followed_at_once(start: Start, tmp_path: Path) -> None:
    """None stands in for the one before it."""
    web, jobs = start("web"), start("jobs")
    patterns = [f"{tmp_path}/service.py {word}" for word in ("web", "jobs")]
    assert pids(Follower(patterns=patterns)) == {"main-0": web.pid, "main-1": jobs.pid}
    given = [word for pattern in patterns for word in ("--command", pattern)]
    with pytest.raises(UsageError, match=f"2 processes are named.*: {web.pid}, {jobs.pid};"):
        run_watch(given)
    killed(jobs)
    with pytest.raises(LeaklabError, match=f"no process with .*: {patterns[1]};"):
        run_watch(given)


def run_watch(words: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.description = ""
    watch.configure(parser)
    return watch.run(parser.parse_args(words))


def test_heads_that_are_restarted_at_once_take_the_label_of_their_own_command(
    start: Start, tmp_path: Path
) -> None:
    first = start("leak"), start("ok")
    follower = Follower(patterns=[f"{tmp_path}/service.py"])
    follower.look()
    for process in first:
        killed(process)
    healthy, leaky = start("ok"), start("leak")
    assert pids(follower) == {"main-0": leaky.pid, "main-1": healthy.pid}


def test_a_head_that_was_alone_keeps_its_label_when_another_comes(
    start: Start, tmp_path: Path
) -> None:
    old = start()
    follower = Follower(patterns=[f"{tmp_path}/service.py"])
    assert pids(follower) == {"main": old.pid}
    new = start()
    assert pids(follower) == {"main": old.pid, "main-1": new.pid}
    killed(old)
    assert pids(follower) == {"main-1": new.pid}
    assert [life.slot for life in follower.ended] == ["main"]


def test_a_zombie_ends_its_life(start: Start) -> None:
    service = start()
    follower = Follower([service.pid])
    follower.look()
    service.kill()
    while psutil.Process(service.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert pids(follower) == {}


def test_a_process_lost_sight_of_goes_on_as_the_same_life(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    follower = Follower(patterns=[f"{tmp_path}/service.py"], step_seconds=0.0)
    recorder = Recorder(str(tmp_path / "runs"), "service", "a service")
    recorder.look(follower.look())
    with monkeypatch.context() as hidden:
        hidden.setattr("leaklab.watch.follow.matching", lambda pattern: [])
        recorder.look(follower.look())
        assert not follower.lives
    recorder.look(follower.look())
    assert follower.restart_counts == {"main": 0}
    data = open_run(recorder.close())
    assert [row["ended_seconds"] for row in data.meta["processes"]] == [None]
    assert (data.samples["name"] == "thread_count").sum() == 2


def test_lives_of_another_command_are_not_joined(start: Start, tmp_path: Path) -> None:
    leaky = start("leak")
    follower = Follower(patterns=[f"{tmp_path}/service.py"])
    follower.look()
    follower.lives["main"].series["rss_bytes"] = grown()
    killed(leaky)
    start("ok")
    follower.look()
    life = follower.lives["main"]
    life.series["rss_bytes"] = grown(seconds=20)
    assert len(follower._alike(life, "rss_bytes")) == 1
    follower.ended[0].command = life.command
    assert len(follower._alike(life, "rss_bytes")) == 2


def test_leaklabs_own_helpers_and_a_tracker_are_no_workers(start: Start) -> None:
    helper = start("-m", "leaklab.door.analysis", "1")
    tracker = start("-c", "from multiprocessing.resource_tracker import main;main(4)")
    worker = start("--workers", "2")
    found = [psutil.Process(one.pid) for one in (helper, tracker, worker)]
    assert [is_helper(one) for one in found] == [True, True, False]
    assert [is_own(one) for one in found] == [True, False, False]
    below = {one.pid for one in follow._below(psutil.Process(), [], set())}
    assert below & {one.pid for one in found} == {worker.pid}

    def child_count() -> int:
        return sum(not is_own(one) for one in psutil.Process().children())

    # What another test has left may end meanwhile.
    before, told = child_count(), follow._figures(psutil.Process())["child_count"]
    assert before >= told >= child_count() >= 2


def test_another_command_in_a_slot_is_no_restart(start: Start, tmp_path: Path) -> None:
    service = start("first", "0")
    follower = Follower(patterns=[f"{tmp_path}/service.py"])
    follower.look()
    killed(service)
    for words, count in ((["first", "1"], 1), (["first", "2"], 2), (["other"], 2)):
        service = start(*words)
        follower.look()
        assert follower.restart_counts == {"main": count}
        killed(service)
        follower.look()


def grown(seconds: int = 1000) -> EvenSeries:
    series = EvenSeries(5.0)
    for second in range(0, seconds, 5):
        series.add(float(second), 50e6 + 50_000.0 * second)
    return series


def test_a_stored_run_tells_heads_apart_and_counts_no_dead(start: Start, tmp_path: Path) -> None:
    leaky, _ = start("leak"), start("ok")
    follower = Follower(patterns=[f"{tmp_path}/service.py"], step_seconds=0.0)
    recorder = Recorder(str(tmp_path / "runs"), "service", "a service")
    for look in range(6):
        if look == 3:
            killed(leaky)
            start("leak")
        recorder.look(follower.look())
    data = open_run(recorder.close())
    rows = data.meta["processes"]
    assert [row["role"] for row in rows] == ["main-0", "main-1", "main-0"]
    assert [row["ended_seconds"] is not None for row in rows] == [True, False, False]

    first, other, last = (row["pid"] for row in rows)
    run = Run(data)
    assert f"  main-0 is python service.py (pid {last}, before it {first})" in str(run)
    assert f"  main-1 is python service.py (pid {other})" in str(run)
    told = {(one["role"], one["pid"], one["command"]) for one in run.to_json()["processes"]}
    assert ("main-1", other, "python service.py") in told

    from leaklab.analysis.series import resource_series

    for role in ("main-0", "main-1"):
        assert set(resource_series(data, "thread_count", role=role)["value"]) == {1.0}


def test_watchers_and_what_starts_them_are_left_out(start: Start, tmp_path: Path) -> None:
    service = start()
    pattern = f"{tmp_path}/service.py"
    watcher = start("watch", "--command", pattern, program=tmp_path / "leaklab")
    start(f"ll watch --command {pattern}")  # as a shell or `timeout` would start it
    assert [process.pid for process in matching([pattern])] == [service.pid]
    assert watcher.pid not in {process.pid for process in matching([str(tmp_path)])}


def test_a_service_whose_path_reads_like_ours_is_found(start: Start, tmp_path: Path) -> None:
    service = start(program=tmp_path / "leaklab-x" / "watchdog.py")
    assert [process.pid for process in matching(["leaklab-x/watchdog.py"])] == [service.pid]


ASKED = "import sys; from leaklab.watch.matching import matching; print(matching(sys.argv[1:]))"
STARTER = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


def test_what_started_the_watcher_is_left_out(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, ASKED, f"in {tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# In a process whose starter has no other child: what else a test run starts comes and goes.
COUNTED = """
import psutil
from leaklab.watch import terminal
from leaklab.watch.follow import Follower
from leaklab.watch.matching import own_pids
above = psutil.Process().parent()
follower = Follower([above.pid])
follower.look()
workers = {life.process.pid for slot, life in follower.lives.items() if slot != "main"}
counted = terminal._look(above, 0.0).child_count
terminal.own_pids = set
print(workers & own_pids(), counted, terminal._look(above, 0.0).child_count)
"""


def test_the_watcher_is_no_worker_of_what_it_follows() -> None:
    command = [sys.executable, "-c", STARTER, COUNTED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "set() 0 1\n"


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("python -m leaklab watch 1", "watch 1"),
        ("python /venv/bin/leaklab watch --command a b", "watch --command a b"),
        ("timeout 9 python /x/leaklab/__main__.py watch 1", "watch 1"),
        ("python /srv/leaklab-x/watchdog.py", ""),
        ("python /srv/leaklab/manage.py watch", ""),
        ("leaklab record -- watch", ""),
        ("leaklab", ""),
    ],
)
def test_a_watcher_is_known_by_its_arguments(command: str, found: str) -> None:
    assert " ".join(watch_arguments(command.split())) == found
