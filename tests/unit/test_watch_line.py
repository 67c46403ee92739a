"""The line under a cell: what was put into room that was free shows too."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from leaklab.jupyter.watch_line import Watch


class Events:
    def register(self, name: str, called: Any) -> None:
        self.called = called

    def unregister(self, name: str, called: Any) -> None:
        del self.called


@pytest.fixture
def shell() -> Any:
    return SimpleNamespace(events=Events(), user_ns={})


def test_what_fits_into_freed_pages_is_told_as_in_use(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    # 20 MB of freed pieces, none at the end: malloc gives nothing of them back.
    work = [bytes(2_000) for _ in range(10_000)]
    kept = work[:: len(work) - 1]
    del work
    watch = Watch(shell)
    kept += [bytes(1_900) for _ in range(4_000)]
    shell.events.called(None)
    line = capsys.readouterr().out
    found = re.search(r"resident; \+([0-9.]+) MiB in use", line)
    assert found, line
    assert 7 < float(found[1]) < 8
    shell.events.called(None)
    assert "in use" not in capsys.readouterr().out
    watch.close()
