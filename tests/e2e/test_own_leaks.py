"""leaklab under its own guard: opening, judging, showing and recording runs leaves nothing."""

from __future__ import annotations

from pathlib import Path

import leaklab as ll
from leaklab.pytest_plugin.check import LeakCheck
from leaklab.recorder.options import RecordOptions
from leaklab.recorder.recording import record_run

SCRIPT = "import leaklab\nfor _ in range(30):\n    leaklab.mark()\n"


def test_opening_and_showing_runs(leak_check: LeakCheck, tmp_path: Path) -> None:
    script = tmp_path / "target.py"
    script.write_text(SCRIPT)
    path = record_run(RecordOptions(command=[str(script)], store=str(tmp_path / "runs")))

    def show() -> None:
        run = ll.open(path)
        assert run._repr_html_() and str(run)

    leak_check(show, units=20)


def test_recordings(leak_check: LeakCheck, tmp_path: Path) -> None:
    script = tmp_path / "target.py"
    script.write_text(SCRIPT)

    def record() -> None:
        record_run(
            RecordOptions(command=[str(script)], passes=("measure",), store=str(tmp_path / "runs"))
        )

    leak_check(record, units=20)
