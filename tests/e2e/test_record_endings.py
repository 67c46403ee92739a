"""How a pass ends: in time, before any work, or long after the target has stopped working."""

from __future__ import annotations

from pathlib import Path

import pytest
import recorded

from leaklab.recorder.options import RecordOptions
from leaklab.recorder.recording import record_run
from leaklab.results.run import Run
from leaklab.store import open_run

BOTH = ("measure", "explain")


def test_the_time_of_a_pass_begins_with_its_first_mark(tmp_path: Path) -> None:
    """Its start is no work: the traced one takes longer here than the time that is allowed."""
    data = recorded.record(
        tmp_path,
        """
        import sys, time
        from leaklab import mark
        time.sleep(1.6 if "memray" in sys.modules else 0)
        while True:
            mark()
            time.sleep(0.01)
        """,
        passes=BOTH,
        duration_seconds=1.5,
    )
    assert [entry["stopped_by"] for entry in data.meta["passes"]] == ["duration"] * 2
    # From the first mark on the whole time is left, whatever had gone before.
    assert data.meta["passes"][1]["duration_seconds"] > 1.6 + 1.4
    assert all(process["mark_count"] > 1 for process in data.meta["processes"])


def test_a_heap_that_was_traced_and_never_looked_at_is_said(tmp_path: Path) -> None:
    data = recorded.record(tmp_path, "import os\nos.kill(os.getpid(), 9)", passes=("explain",))
    assert not len(data.snapshots)
    texts = [event["text"] for event in data.meta["events"] if event["kind"] == "heap unseen"]
    assert len(texts) == 1
    assert texts[0].startswith("the heap was traced and never looked at: the target was gone after")
    assert texts[0].endswith("let it run longer")


FAILS = {
    "before its work": "raise SystemExit(3)",
    "marked": "from leaklab import mark; mark(); raise SystemExit(3)",
    "for want of memory": "raise MemoryError",
}


@pytest.mark.parametrize("how", FAILS)
def test_no_second_pass_where_the_first_failed_before_its_work(tmp_path: Path, how: str) -> None:
    data = recorded.record(tmp_path, FAILS[how], passes=BOTH)
    skipped = [event["text"] for event in data.meta["events"] if event["kind"] == "skipped"]
    if how == "before its work":
        assert skipped == [
            "explain pass skipped: the target had failed with exit status 3; "
            "--passes measure,explain runs it all the same"
        ]
        assert "skipped: explain pass skipped" in str(Run(data))
    assert len(data.meta["passes"]) == 2 - len(skipped)
    assert bool(skipped) == (how == "before its work")


@pytest.mark.parametrize("how", ["before its work", "no Python", "marked"])
def test_progress_speaks_of_the_passes_that_are_run(tmp_path: Path, how: str) -> None:
    path = recorded.script(tmp_path, FAILS.get(how, ""))
    settings = RecordOptions(
        command=["true"] if how == "no Python" else [str(path)],
        cwd=str(tmp_path),
        store=str(tmp_path / "store"),
        graphs="never",
    )
    told: list[str] = []
    data = open_run(record_run(settings, lambda event: told.append(event["pass"])))
    assert set(told) == {entry["pass"] for entry in data.meta["passes"]}
    assert ("explain" in told) == (how == "marked")


def test_the_passes_that_were_asked_for_are_run(tmp_path: Path) -> None:
    import leaklab as ll

    path = recorded.script(tmp_path, "raise SystemExit(3)")
    run = ll.record(path, store=tmp_path / "store", passes=BOTH, graphs="never")
    assert [entry["pass"] for entry in run.meta["passes"]] == list(BOTH)


def test_a_target_that_hangs_decides_nothing(tmp_path: Path) -> None:
    data = recorded.record(
        tmp_path,
        """
        import threading, time
        time.sleep(0.1)
        threading.Event().wait()
        """,
        duration_seconds=9,  # a busy machine takes its time for the start
    )
    verdict = Run(data).verdict()
    assert verdict.verdict == "inconclusive"
    assert "the target had done nothing for the last " in verdict.reason
    assert "when it was stopped: it hung, or waited for work" in verdict.reason
    assert "bounded" not in {entry.verdict for entry in verdict.resources}


def test_the_probe_has_no_thread_when_the_tracer_goes_over_all(tmp_path: Path) -> None:
    """Where an audit hook holds that up, a thread of ours that ended then was freed under it."""
    data = recorded.record(
        tmp_path,
        """
        import sys, time
        usual = sys.getswitchinterval()
        def hook(event, arguments):
            if event == "sys.setprofile":
                time.sleep(0.3)
        sys.addaudithook(hook)
        time.sleep(1.2)  # longer than the explain pass puts off to look from outside
        print("as before:", sys.getswitchinterval() == usual)
        """,
        passes=BOTH,
    )
    assert [entry["signal"] for entry in data.meta["passes"]] == [None, None]
    assert [entry["exit_status"] for entry in data.meta["passes"]] == [0, 0]
    assert [entry["stdout_tail"] for entry in data.meta["passes"]] == ["as before: True\n"] * 2
    assert data.meta["passes"][1]["kept"]["snapshot_count"] > 0
