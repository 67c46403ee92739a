"""When the graph pass opens its traced window."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from leaklab.recorder.passes import PassRecorder


class Pass(PassRecorder):
    """One whose parts are what its decision needs."""

    def __init__(self, *, memray: bool, connected: bool) -> None:
        one = SimpleNamespace(
            memray=memray,
            connection=object() if connected else None,
            mark_count=0,
            window_seconds=None,
        )
        self.told: list[tuple[str, str]] = []
        found = SimpleNamespace(verdict="leak", reason="grew")
        fake: Any = self
        fake._options = SimpleNamespace(traced_window_seconds=2.0, until_decided=True)
        fake._target = SimpleNamespace(stopping=False)
        fake._table = SimpleNamespace(
            all=[one], alive=lambda: [one], rows=lambda _: [], give_heap_number=lambda _: None
        )
        fake._writer = SimpleNamespace(update=lambda **_: None)
        fake._decider = SimpleNamespace(due=lambda *_: True, look=lambda *_: found)
        fake._before, fake._name, fake._wants_window = [], "graph", True
        fake._event = lambda kind, text, _: self.told.append((kind, text))
        fake._stop = lambda by, text: self.told.append((by, text))


@pytest.mark.parametrize(
    ("memray", "connected", "told"),
    [
        (True, True, ("window", "tracing for 2 seconds: leak: grew")),
        (False, True, ("decided", "leak: grew")),
        (True, False, ("decided", "leak: grew")),
    ],
)
def test_a_window_is_opened_only_where_something_can_be_traced(
    memray: bool, connected: bool, told: tuple[str, str]
) -> None:
    recorder = Pass(memray=memray, connected=connected)
    recorder._decide(5.0)
    assert recorder.told == [told]
