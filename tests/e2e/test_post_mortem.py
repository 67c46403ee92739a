"""A run that met its limit: the last graph is there, and the end is told."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from recorded import record, script

from leaklab.cli import main
from leaklab.errors import UsageError
from leaklab.quantities import share
from leaklab.recorder.graph import dump_outcome

FILLING = """
    import time
    from leaklab import mark

    class Page:
        def __init__(self):
            self.body = bytearray(400_000)

    PAGES = []
    while True:
        PAGES.append(Page())
        mark()
        time.sleep(0.01)
"""


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["post-mortem", *words]) == 0
    return capsys.readouterr().out


def test_the_last_graph_before_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = 80 << 20
    data = record(
        tmp_path,
        FILLING,
        passes=("graph",),
        graphs="fork",
        limit_memory_bytes=limit,
        graph_at_share=0.7,
        name="filling",
    )
    assert data.path is not None
    text = told(capsys, data.path)
    assert "graph pass: stopped by" in text
    assert "of 80 MiB (--limit-memory)" in text
    assert "__main__.PAGES" in text
    marks = data.graph_dumps["mark"].dropna()
    # Near the limit, whatever the ordinary spacing says: 0.7 of it less what an interpreter takes.
    assert marks.max() * 400_000 > 0.7 * limit - (30 << 20)
    # A store stands for its newest run.
    assert told(capsys, str(tmp_path / "store")) == text


def test_a_run_whose_recorder_was_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from leaklab.store import RunWriter

    writer = RunWriter.create(tmp_path, "service", None, {"passes": [{"pass": "measure"}]})
    writer.flush()
    text = told(capsys, writer.path)
    assert "its recorder was killed, or is still at work" in text
    assert "measure pass: how it ended was not seen" in text
    assert "resident memory was not measured" in text
    assert "no object graph was taken; record with --graph-at 90%" in text
    writer.close()


def test_the_last_graph_outlives_its_recorder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = FILLING.replace(
        "    PAGES = []", "    import os\n    PAGES, parent = [], os.getppid()"
    )
    script(tmp_path, source.replace("while True:", "while os.getppid() == parent:"))
    words = ["--passes", "graph", "--limit-memory", "1GiB", "--graph-at", "5%", "target.py"]
    recorder = subprocess.Popen(
        [sys.executable, "-m", "leaklab", "record", "--store", "store", *words],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    # Further ones are under way by then: the recorder has no time to read any.
    while not any(
        dump_outcome(file)["status"] == "complete" for file in tmp_path.glob("store/*/*/*/*.dump")
    ):
        assert time.monotonic() < until
        time.sleep(0.02)
    recorder.kill()
    recorder.wait(30)
    text = told(capsys, str(tmp_path / "store"))
    assert "its recorder was killed" in text
    assert "__main__.PAGES" in text
    assert "resident memory in the last" in text


def test_shares() -> None:
    assert share("90%") == 0.9
    assert share("0.5") == 0.5
    for bad in ("0", "101%", "much", ""):
        with pytest.raises(UsageError, match="not a share"):
            share(bad)


def test_help_shows_the_per_cent_sign() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leaklab", "record", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "such as 90%" in done.stdout
