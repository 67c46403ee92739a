"""Following processes from outside: even series in constant memory, slots, verdicts, metrics."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

import leaklab as ll
from leaklab.cli import main
from leaklab.errors import LeaklabError
from leaklab.store import open_run
from leaklab.watch import control_group, follow
from leaklab.watch.follow import Follower
from leaklab.watch.metrics import Collector, seconds_to_limit_low
from leaklab.watch.record import Recorder
from leaklab.watch.series import EvenSeries

SLEEPER = "import sys; print('up', flush=True); sys.stdin.read()"
PARENT = (
    "import subprocess, sys\n"
    "children = []\n"
    "for line in sys.stdin:\n"
    "    if line.strip() == 'more':\n"
    f"        children.append(subprocess.Popen([sys.executable, '-c', {SLEEPER!r}],\n"
    "                        stdin=subprocess.PIPE, stdout=subprocess.PIPE))\n"
    "        children[-1].stdout.readline()\n"
    "    else:\n"
    "        children[0].stdin.close(); children.pop(0).wait()\n"
    "    print('done', flush=True)\n"
    "for child in children:\n"
    "    child.stdin.close(); child.wait()\n"
)


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


def told(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(word + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


def test_a_year_of_looks_takes_constant_memory_and_stays_even() -> None:
    series = EvenSeries(5.0, most_points=100)
    for second in range(0, 400_000, 5):
        series.add(float(second), float(second))
    assert 50 <= len(series.seconds) <= 101
    steps = np.diff(series.seconds)
    assert set(steps) == {series.step_seconds}
    assert series.peak == 399_995.0


def test_a_recycled_worker_takes_the_slot_of_the_one_before(parent: subprocess.Popen[str]) -> None:
    told(parent, "more")
    told(parent, "more")
    follower = Follower([parent.pid])
    assert {life.slot for life, _ in follower.look()} == {"main", "1", "2"}
    first = follower.lives["1"].process.pid
    told(parent, "fewer")
    told(parent, "more")
    follower.look()
    assert set(follower.lives) == {"main", "1", "2"}
    assert follower.lives["1"].process.pid != first
    assert follower.restart_counts == {"main": 0, "1": 1, "2": 0}


def test_a_growing_life_is_judged_and_told_as_metrics(parent: subprocess.Popen[str]) -> None:
    follower = Follower([parent.pid])
    follower.look()
    life = follower.lives["main"]
    life.series["rss_bytes"] = grown(rate=50_000.0)
    life.series["fd_count"] = grown(rate=0.0)
    follower.judge()
    registry = CollectorRegistry()
    registry.register(Collector(follower))
    text = generate_latest(registry).decode()
    assert 'leaklab_verdict{resource="rss_bytes",verdict="leak",worker="main"} 1.0' in text
    assert 'leaklab_verdict{resource="fd_count",verdict="leak",worker="main"} 0.0' in text
    low = registry.get_sample_value(
        "leaklab_growth_per_second_low", {"resource": "rss_bytes", "worker": "main"}
    )
    high = registry.get_sample_value(
        "leaklab_growth_per_second_high", {"resource": "rss_bytes", "worker": "main"}
    )
    assert low is not None
    assert high is not None
    assert low <= 50_000.0 <= high
    # A restart is no new series of figures: only one line knows the process.
    told_by = [line for line in text.splitlines() if str(parent.pid) in line]
    labels = {"command": "python -c", "pid": str(parent.pid), "worker": "main"}
    assert registry.get_sample_value("leaklab_process_info", labels) == 1.0
    assert [line.partition("{")[0] for line in told_by] == ["leaklab_process_info"]


@pytest.mark.parametrize(("rate", "verdict"), [(50_000.0, "leak"), (0.0, "bounded")])
def test_a_young_worker_is_judged_with_those_before_it(
    parent: subprocess.Popen[str], rate: float, verdict: str
) -> None:
    told(parent, "more")
    follower = Follower([parent.pid])
    for _ in range(4):
        follower.look()
        follower.lives["1"].series["rss_bytes"] = grown(rate, seconds=600)
        told(parent, "fewer")
        told(parent, "more")
    follower.look()
    life = follower.lives["1"]
    life.series = {"rss_bytes": grown(rate, seconds=20)}
    follower.judge()
    assert life.verdicts["rss_bytes"].verdict == verdict


def grown(rate: float, seconds: int = 1000) -> EvenSeries:
    series = EvenSeries(5.0)
    for second in range(0, seconds, 5):
        series.add(float(second), 50e6 + rate * second)
    return series


def test_a_rest_without_work_does_not_make_a_life_bounded(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    follower = Follower([parent.pid], step_seconds=1.0)
    recorder = Recorder(str(tmp_path), "service", "a service")
    recorder.look(follower.look())
    life = follower.lives["main"]
    life.series["fd_count"], life.work = EvenSeries(1.0), EvenSeries(1.0)
    for second in range(300):
        worked = min(second, 20)
        life.series["fd_count"].add(float(second), 20.0 + 12 * worked)
        life.work.add(float(second), 0.06 * worked + 0.01 * (second // 7))
    follower.judge()
    entry = life.verdicts["fd_count"]
    assert (entry.verdict, entry.rate_high > 1) == ("inconclusive", True), entry.reason
    recorder.look([(life, {"fd_count": 260.0})])
    rows = open_run(recorder.close()).samples_of("gauge:cpu_percent")
    assert rows["value"].tolist() == pytest.approx([0.0])


def test_no_look_waits_for_what_judges_to_be_loaded() -> None:
    """It takes longer than some looks are apart; what was not looked at cannot be told."""
    assert {"judge_at_work", "joined_by_age"} <= vars(follow).keys()


def test_the_limits_of_what_is_followed_are_stored(
    parent: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without them nobody is told when a service that is watched meets one."""
    known = {"group_memory_bytes": 100 << 20, "descriptor_limit": 64}
    monkeypatch.setattr("leaklab.watch.follow.limits_of", lambda pid: known)
    follower = Follower([parent.pid], step_seconds=1.0)
    recorder = Recorder(str(tmp_path), "service", "a service")
    recorder.look(follower.look())
    known = known | {"descriptor_limit": 128}  # it may raise it itself
    recorder.look(follower.look())
    known = {}  # it ends
    recorder.look(follower.look())
    meta = open_run(recorder.close()).meta
    row = next(row for row in meta["processes"] if row["role"] == "main")
    assert (row["group_memory_bytes"], row["descriptor_limit"]) == (100 << 20, 128)
    assert meta["platform"]["memory_bytes"] > 0
    life = follower.lives["main"]
    life.verdicts["rss_bytes"] = ll.judge_series(
        np.arange(100.0), 1e6 * np.arange(100.0), unit="second"
    )
    assert seconds_to_limit_low(life) == pytest.approx(5.0, abs=2.0)
    # The first of them: its descriptors are used up sooner.
    life.verdicts["fd_count"] = ll.judge_series(
        np.arange(100.0), 27.0 + np.arange(100.0), resource="fd_count", unit="second"
    )
    assert seconds_to_limit_low(life) == pytest.approx(2.0, abs=1.0)


def test_what_is_in_the_middle_of_its_end_has_no_figures(
    parent: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is resident then, and its descriptors are closed: no figure of what it used."""
    follower = Follower([parent.pid], step_seconds=1.0)
    assert follower.look()
    nothing = SimpleNamespace(rss=0)
    monkeypatch.setattr(type(psutil.Process()._proc), "memory_info", lambda process: nothing)
    assert follower.look() == []
    assert "main" in follower.lives


KILLED = (
    "import os, signal, sys\n"
    "from leaklab.watch.follow import Follower\n"
    "from leaklab.watch.record import Recorder\n"
    "clock = [0.0]\n"
    "follower = Follower([os.getppid()], step_seconds=1.0, clock=lambda: clock[0])\n"
    "recorder = Recorder(sys.argv[1], 'service', 'a service')\n"
    "for clock[0] in range(7):\n"
    "    recorder.look(follower.look())\n"
    "print(recorder.writer.path, flush=True)\n"
    "os.kill(os.getpid(), signal.SIGKILL)\n"
)


def test_a_watcher_that_is_killed_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    data = open_run(done.stdout.strip())
    assert data.meta["state"] == "incomplete"
    followed = data.samples[data.samples["process"] == 0]
    assert (followed["name"] == "rss_bytes").sum() == 7


def test_a_full_disk_loses_nothing_and_ends_nothing(
    parent: subprocess.Popen[str], tmp_path: Path
) -> None:
    clock = [0.0]
    follower = Follower([parent.pid], step_seconds=1.0, clock=lambda: clock[0])
    recorder = Recorder(str(tmp_path), "service", "a service")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for clock[0] in range(12):
        full = 4 <= clock[0] < 8
        # Nothing can be written any more, as on a full disk; then there is room again.
        resource.setrlimit(resource.RLIMIT_FSIZE, (16 if full else before[0], before[1]))
        try:
            recorder.look(follower.look())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert bool(recorder.problem) == full
    data = open_run(recorder.close())
    assert data.meta["state"] == "complete"
    assert (data.samples["name"] == "rss_bytes").sum() == 12


def test_a_clock_that_is_set_leaves_no_gap(
    parent: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    follower = Follower([parent.pid], step_seconds=1.0, clock=lambda: clock[0])
    now = time.time()
    for clock[0] in range(20):
        jump = (0, 3600, -7200)[int(clock[0]) // 7]  # the machine's time of day
        monkeypatch.setattr("time.time", lambda jump=jump: now + clock[0] + jump)
        follower.look()
    life = follower.lives["main"]
    assert follower.restart_counts == {"main": 0}
    assert np.diff(life.series["rss_bytes"].seconds).tolist() == [1.0] * 19


def test_bad_requests_are_one_line() -> None:
    with pytest.raises(LeaklabError, match="no such process: 4194000"):
        Follower([4_194_000])
    with pytest.raises(LeaklabError, match="no process with this in its command line"):
        Follower(patterns=["no process has this in its command line"])


def test_one_process_is_followed_by_its_command_line_and_of_several_one_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    word = f"in {tmp_path}"
    command = [sys.executable, "-c", "import sys; sys.stdin.read()", word]
    look = ["watch", "--command", word, "--duration", "10ms", "--json"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE) as first,
        subprocess.Popen(command, stdin=subprocess.PIPE) as second,
    ):
        assert main(look) == 2
        said = capsys.readouterr().err
        assert "2 processes are named" in said
        assert str(first.pid) in said
        second.kill()
        second.wait()
        assert main(look) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[0])["rss_bytes"] > 0
        first.kill()
    assert main(look) == 1
    assert "no process with this in its command line" in capsys.readouterr().err


def test_the_control_group_tells_what_it_knows(parent: subprocess.Popen[str]) -> None:
    known = control_group.memory(parent.pid)
    assert set(known) <= {"current", "peak", "limit", "anonymous", "shared", "page_cache"}
    assert all(value >= 0 for value in known.values())
    assert control_group.memory(4_194_000) == {}


def test_shared_memory_is_no_page_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel counts segments that nobody has unlinked as files, but gives none of them back."""
    (tmp_path / "memory.stat").write_text("anon 100\nfile 700\nkernel 9\nshmem 600\n")
    monkeypatch.setattr(control_group, "_folder", lambda pid: tmp_path)
    found = control_group.memory(7)
    assert found == {"anonymous": 100.0, "shared": 600.0, "page_cache": 100.0}
