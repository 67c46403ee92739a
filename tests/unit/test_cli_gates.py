"""The exit status of a gate in a script, and what it says on either output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leaklab.cli import investigate, main
from leaklab.results.run import Run
from tests.synthetic import Series, leak, run, steady


@pytest.mark.parametrize(
    ("state", "rss", "gate", "status"),
    [
        ("complete", steady(200), ["--fail-on", "leak"], 0),
        ("interrupted", steady(200), ["--fail-on", "leak"], 1),
        ("interrupted", leak(200, 20_000), ["--fail-on", "leak"], 3),
        ("interrupted", steady(200), [], 0),  # Ctrl-C is how the recording of a service ends
    ],
)
def test_a_gate_that_was_stopped_is_not_passed(
    state: str,
    rss: Series,
    gate: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded = Run(run(rss=rss, meta={"state": state}))

    def record(*_: Any, **__: Any) -> Run:
        return recorded

    monkeypatch.setattr("leaklab.recordings.record", record)
    monkeypatch.setattr(investigate, "_own_report", lambda *_: Path("page.html"))
    assert main(["investigate", *gate, "--", "serve.py"]) == status
    shown = capsys.readouterr()
    said = "leaklab: interrupted; the run holds what was measured until then\n"
    assert shown.err == (said if state == "interrupted" else "")
    assert "interrupted;" not in shown.out
