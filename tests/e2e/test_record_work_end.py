"""The end of the work is known: exit and idle time are not judged, a failure decides nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import recorded

from leaklab.results.run import Run
from leaklab.verdict.judge import BOUNDED, INCONCLUSIVE, LEAK, judge

# What `held` has is given back one by one at exit, which takes longer than the rest of a pause.
AT_EXIT = """
    import atexit, os, sys, time
    held = []
    def give_back():
        while held:
            one = held.pop()
            if isinstance(one, int):
                os.close(one)
            time.sleep(0.01)
    {register}
    for _ in range(120):
        held.append({make})
        time.sleep(0.015)
"""
BY_ATEXIT = "atexit.register(give_back)"
BY_THREADING = "import threading; threading._register_atexit(give_back)"


@pytest.mark.parametrize(
    ("register", "make", "name"),
    [
        (BY_ATEXIT, "os.open(os.devnull, os.O_RDONLY)", "fd_count"),
        (BY_THREADING, "os.open(os.devnull, os.O_RDONLY)", "fd_count"),
        (BY_ATEXIT, "bytearray(200_000)", "heap_bytes"),
    ],
)
def test_what_is_given_back_at_exit_leaked_until_then(
    tmp_path: Path, register: str, make: str, name: str
) -> None:
    source = AT_EXIT.format(register=register, make=make)
    passes = ("measure", "explain") if name == "heap_bytes" else ("measure",)
    data = recorded.record(tmp_path, source, passes=passes)
    verdict = judge(data)
    resource = verdict.resource(name)
    assert resource is not None
    # A traced program on a busy machine may have been looked at too seldom to decide its heap.
    assert verdict.verdict == LEAK, verdict.reason
    assert resource.verdict == LEAK or (name, resource.verdict) == ("heap_bytes", INCONCLUSIVE)
    run = Run(data)
    given = {row["name"]: row["value"] - row["after"] for row in run.given_back()}
    least = 120 * 200_000 / 2 if name == "heap_bytes" else 100
    assert given[name] >= least
    leaks = resource.verdict == LEAK
    words = f"{'released only' if leaks else 'given back'} when it ended"
    (line,) = (line for line in str(run).splitlines() if words in line)
    assert name in line
    assert Run(data).to_json()["given_back"] == run.given_back()


def test_a_main_program_that_only_starts_threads_is_not_the_work(tmp_path: Path) -> None:
    data = recorded.record(
        tmp_path,
        """
        import os, threading, time
        held = []
        def work():
            for _ in range(100):
                held.append(os.open(os.devnull, os.O_RDONLY))
                time.sleep(0.015)
        threading.Thread(target=work).start()
        """,
    )
    assert data.meta["processes"][0]["work_ended_seconds"] is None
    assert judge(data).verdict == LEAK


def test_callbacks_run_in_their_order_and_can_be_taken_back(tmp_path: Path) -> None:
    data = recorded.record(
        tmp_path,
        """
        import atexit
        @atexit.register
        def first():
            print("last")
        def no():
            print("never")
        atexit.register(no)
        atexit.register(print, "first", end="\\n")
        atexit.unregister(no)
        """,
    )
    [entry] = data.meta["passes"]
    assert (entry["exit_status"], entry["stdout_tail"]) == (0, "first\nlast\n")
    assert data.meta["processes"][0]["work_ended_seconds"] is not None


def test_the_idle_time_after_the_drive_is_not_judged(tmp_path: Path) -> None:
    served = recorded.script(
        tmp_path,
        """
        import os, pathlib, time
        held = []
        while True:
            if pathlib.Path("load").exists():
                held.append(os.open(os.devnull, os.O_RDONLY))
            time.sleep(0.01)
        """,
    )
    touch = (
        "import pathlib, time; load = pathlib.Path('load'); load.touch(); time.sleep(1.5);"
        " load.unlink()"
    )
    data = recorded.record(
        tmp_path,
        served,
        drive=f'{sys.executable} -c "{touch}"',
        drive_idle_seconds=2.0,
        drive_round_count=2,
    )
    verdict = judge(data).resource("fd_count")
    assert verdict is not None
    assert verdict.verdict == LEAK, verdict.reason


def test_a_load_that_fails_decides_nothing(tmp_path: Path) -> None:
    data = recorded.record(
        tmp_path,
        "import time\nwhile True: time.sleep(0.01)",
        drive=f"{sys.executable} -c \"import sys; sys.exit('nobody answers')\"",
        drive_idle_seconds=1.0,
    )
    verdict = judge(data)
    assert verdict.verdict == INCONCLUSIVE
    assert verdict.reason == "the load failed: the drive ended with status 1: nobody answers"
    assert {entry.verdict for entry in verdict.resources} == {INCONCLUSIVE}
    assert Run(data).to_json()["verdict"] == INCONCLUSIVE
    assert "inconclusive" in str(Run(data)).splitlines()[0]


def test_a_target_that_crashed_is_told_so(tmp_path: Path) -> None:
    data = recorded.record(tmp_path, "import no_such_module")
    verdict = judge(data)
    assert verdict.verdict == INCONCLUSIVE
    assert verdict.reason.startswith("the target failed with exit status 1 after 0.")
    assert verdict.reason.endswith("ModuleNotFoundError: No module named 'no_such_module'")
    assert "record" not in str(Run(data)).replace("recorded", "")


def test_growth_while_importing_is_none_of_a_target_that_crashed_then(tmp_path: Path) -> None:
    data = recorded.record(
        tmp_path,
        """
        import time
        modules = []
        for _ in range(50):
            modules.append(bytearray(300_000))
            time.sleep(0.01)
        import no_such_module
        """,
    )
    assert judge(data).verdict == INCONCLUSIVE


def test_a_failure_at_the_end_of_decided_work_changes_no_verdict(tmp_path: Path) -> None:
    data = recorded.record(
        tmp_path,
        """
        import sys
        from leaklab import mark
        for _ in range(200):
            bytes(1000)
            mark()
        sys.exit(3)
        """,
    )
    assert judge(data).verdict == BOUNDED
