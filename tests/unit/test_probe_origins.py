"""Which call made what is open, running or waiting, as the probe tells it on each CPython."""

import json
import os
import subprocess
import sys
import threading

import pytest
from interpreters import REPOSITORY, every_version, interpreter_or_skip

from leaklab.probe.makers import ThreadMakers
from leaklab.probe.origins import MOST_NOTES, UNKNOWN, OriginHook, Stacks

SCENE = REPOSITORY / "tests" / "targets" / "origin_looks.py"


@every_version
def test_everything_that_stays_is_told_with_the_call_that_made_it(version, tmp_path):
    python = interpreter_or_skip(version)
    done = subprocess.run(
        [python, "-W", "ignore", str(SCENE), str(REPOSITORY)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    told = {
        what: [(how, count) for how, count, _ in found]
        for what, found in json.loads(done.stdout).items()
    }
    # The second call that opens the same file is found out at the first look, then told apart.
    assert told["file keep_shared"] == [("made", 3)]
    assert told["file use_shared"] == [("alike", 1)]
    assert told["file keep_single"] == [("made", 4)]
    # A map has a descriptor of its own; the file that it is of was closed.
    assert sorted(told["file keep_map"]) == [("alike", 1), ("made", 3)]
    assert "file use_mapped" not in told
    assert told["segment leave_segment"] == [("made", 4)]
    assert told["segment keep_segment"] == [("made", 4)]
    assert told["file keep_segment"] == [("made", 8)]  # each open, and mapped from a copy
    assert not any(what.endswith("use_segment") for what in told)
    assert told["socket connect"] == [("made", 4)]
    assert told["pipe start_child"] == [("made", 4)]
    assert told["child start_child"] == [("made", 4)]
    assert told["child fork_child"] == [("made", 4)]
    assert told["thread start_thread"] == [("made", 4)]
    # From Python 3.14 on nothing reports the making of a task.
    if int(version.removeprefix("3.")) >= 14:
        assert ("runs", 3) in told["task wait"]
    else:
        assert told["task start_task"] == [("made", 3)]
    # What the loop itself has made is told by what it runs.
    assert told["task serve"] == [("runs", 1)]
    assert told["set"] == [("True", 2)]  # they were left as they had been
    # A look keeps no call of the target's alive, where nothing is ever collected.
    assert told["left"] == []


class _Named(threading.Thread):
    def __init__(self, name):
        super().__init__(name=name)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="an audit event tells of the start")
def test_a_thread_is_made_by_who_calls_its_constructor():
    stacks = Stacks()
    makers = ThreadMakers(stacks)
    try:
        thread = _Named("waits")
        codes, lines = stacks.all[makers.stacks_made()[id(thread)]]
    finally:
        makers.stop()
    assert codes[0] is sys._getframe().f_code
    assert lines[0] > codes[0].co_firstlineno


def test_what_is_remembered_is_bounded_and_the_same_call_is_one_stack():
    stacks = Stacks()
    frame = sys._getframe()
    assert stacks.of_call(frame) == stacks.of_call(frame) == stacks.number(*stacks.all[0])
    code = frame.f_code
    numbers = [stacks.number([code], [line]) for line in range(5000)]
    assert len(stacks.all) < 5000 and numbers[-1] == UNKNOWN
    hook = OriginHook()
    for number in range(2 * MOST_NOTES):
        hook("open", (f"/tmp/{number}", "r", 0))
    assert len(hook.notes.opened) == MOST_NOTES


def test_the_hook_never_stops_a_call_whatever_it_is_told():
    hook = OriginHook()
    for event in ("open", "socket.__new__", "_thread.start_new_thread", "subprocess.Popen"):
        hook(event, ())
        hook(event, (object(), None, 0))
    hook.active = False
    hook("open", ("/tmp/x", "r", 0))
    assert not hook.notes.opened
