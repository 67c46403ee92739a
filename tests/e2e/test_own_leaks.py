"""leaklab under its own guard: opening, judging, showing and recording runs leaves nothing.

``make own-leaks`` does each 200 times, as often as somebody may in one kernel.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from IPython.core.formatters import DisplayFormatter

import leaklab as ll
from leaklab.pytest_plugin.check import LeakCheck
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.recording import record_run

SCRIPT = "import leaklab\nfor _ in range(30):\n    leaklab.mark()\n"
UNITS = int(os.environ.get("LEAKLAB_OWN_UNITS", "20"))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "target.py"
    path.write_text(SCRIPT)
    return path


def test_opening_and_showing_runs(leak_check: LeakCheck, script: Path, tmp_path: Path) -> None:
    path = record_run(RecordOptions(command=[str(script)], store=str(tmp_path / "runs")))
    # What a kernel does with the last line of a cell; the shell itself would keep what it showed.
    display = DisplayFormatter()

    def show() -> None:
        shown, _ = display.format(ll.open(path))
        assert shown["text/html"]

    leak_check(show, units=UNITS)


def test_opening_stores(leak_check: LeakCheck, script: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "runs")
    record_run(RecordOptions(command=[str(script)], store=store, passes=("measure",)))

    def look() -> None:
        assert not ll.runs(store=store).empty

    leak_check(look, units=UNITS)


def test_recordings(leak_check: LeakCheck, script: Path, tmp_path: Path) -> None:
    def record() -> None:
        record_run(
            RecordOptions(command=[str(script)], passes=("measure",), store=str(tmp_path / "runs"))
        )

    leak_check(record, units=UNITS)
