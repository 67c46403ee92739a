"""A process whose work begins at its first mark is traced before, and not looked at."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from leaklab.probe import begin, marks
from leaklab.recorder.probes.handlers import ProbeHandlers
from leaklab.recorder.processes.looks import Looks
from leaklab.recorder.processes.tracked import Tracked


class Recorder(ProbeHandlers):
    """One whose parts are what its answers to a tick and a mark need."""

    def __init__(self) -> None:
        fake: Any = self
        self.asked: list[str] = []
        fake.stopping = False
        fake._clock = lambda: 60.0
        fake._samples = SimpleNamespace(told=lambda *_: None)
        fake._expected_mark_counts = {}

    def _graph(self, *_: object, **__: object) -> Any:
        return iter(self._ask("graph"))

    def _look_at_origins(self, *_: object) -> Any:
        return iter(self._ask("origins"))

    def _collects(self, *_: object) -> bool:
        return False

    def _snapshot(self, *_: object) -> Any:
        return iter(self._ask("snapshot"))

    def _ask(self, what: str) -> list[Any]:
        self.asked.append(what)
        return []


def process(*, by_marks: bool) -> Tracked:
    looks = Looks(0.1, 0.1, 0.0)
    one = Tracked(1, 1, None, "main", [], SimpleNamespace(), 0.0, looks)  # type: ignore[arg-type]
    heap: Any = SimpleNamespace(active=True)
    one.heap, one.traced, one.by_marks = heap, True, by_marks
    return one


@pytest.mark.parametrize(
    ("by_marks", "asked"), [(False, ["graph", "origins", "snapshot"]), (True, [])]
)
def test_what_it_imports_is_neither_walked_nor_copied(by_marks: bool, asked: list[str]) -> None:
    recorder, one = Recorder(), process(by_marks=by_marks)
    list(recorder._tick(one, {}))
    assert recorder.asked == asked
    assert recorder.snapshot_due(one, 60.0, at_mark=False) is not by_marks
    one.mark_count = one.reported_mark_count = 1
    assert recorder.snapshot_due(one, 60.0, at_mark=True)


@pytest.mark.parametrize("by_marks", [False, True])
def test_it_says_so_itself(monkeypatch: pytest.MonkeyPatch, by_marks: bool) -> None:
    said: list[dict[str, Any]] = []
    channel = SimpleNamespace(
        connect=lambda: None, ask=lambda message: said.append(message) or ["stop"]
    )
    monkeypatch.setattr("leaklab.probe.session.Channel", lambda *_: channel)
    monkeypatch.setitem(os.environ, begin.CHANNEL_VARIABLE, "nowhere")
    monkeypatch.setattr(marks, "_session", None)
    begin.connect(by_marks)
    assert [message["by_marks"] for message in said] == [by_marks]
