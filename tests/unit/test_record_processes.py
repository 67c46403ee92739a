"""Roles, the probe's JSON, and output that is followed: the recorder's parts without a target."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from leaklab.probe import channel, marks
from leaklab.recorder import output
from leaklab.recorder.output import OutputFile
from leaklab.recorder.processes.table import command_role


@pytest.mark.parametrize(
    ("argv", "role"),
    [
        (["/usr/bin/python3.12", "/srv/app.py", "--port", "80"], "python app.py"),
        (["python", "-u", "-m", "celery", "worker"], "python -m celery worker"),
        (["/usr/bin/node", "server.js"], "node"),
        (["worker-17"], "worker-N"),
        (
            ["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(7)"],
            "multiprocessing spawn",
        ),
        ([], "unknown"),
    ],
)
def test_workers_of_one_kind_have_one_role(argv: list[str], role: str) -> None:
    assert command_role(argv) == role


def test_the_probe_writes_json_without_the_json_module() -> None:
    message = {
        "text": 'a "quoted"\nline \u20ac \ud800',
        "none": None,
        "true": True,
        "numbers": [1, -2.5, float("nan"), float("inf"), 10**20],
        "inner": {"a": {}},
    }
    expected = {**message, "numbers": [1, -2.5, None, None, 10**20]}
    assert json.loads(channel.encode(message)) == expected


def test_marks_do_nothing_outside_a_recording() -> None:
    assert marks.mark() is None
    assert marks.gauge("entries", "not a number") is None


def test_output_is_followed_counted_and_kept_as_a_tail(tmp_path: Path) -> None:
    seen: list[bytes] = []
    out = OutputFile(tmp_path / "out.txt", [re.compile("^done")], seen.append)
    os.write(out.descriptor, b"done 1\nnot done\ndo")
    assert out.follow() == 1
    os.write(out.descriptor, b"ne 2\nlast")
    assert out.follow() == 1
    assert b"".join(seen) == b"done 1\nnot done\ndone 2\nlast"
    assert out.last_line == "done 2"
    out.close()
    assert out.tail.endswith("last")
    assert not (tmp_path / "out.txt").exists()


def test_output_that_was_read_gives_its_disk_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PUNCH_SIZE", 1 << 20)
    out = OutputFile(tmp_path / "out.txt")
    block = b"x" * (1 << 20)
    for _ in range(8):
        os.write(out.descriptor, block)
        out.follow()
    assert out.size_bytes <= 2 << 20
    assert len(out.tail) == output.TAIL_SIZE
    out.close()
