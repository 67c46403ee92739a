"""The line under a cell: what was put into room that was free shows too."""

from __future__ import annotations

import contextlib
import gc
import re
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from leaklab.jupyter import watch_line
from leaklab.jupyter.watch_line import Watch
from leaklab.probe import marks


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


def test_small_objects_are_no_more_in_use_than_they_take(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """200,000 blocks of 16 bytes were told as 13.8 MiB in use beside 5 MiB resident."""
    watch = Watch(shell)
    kept = [object() for _ in range(200_000)]
    shell.events.called(None)
    told = re.search(r"\+([0-9.]+) MiB in use", capsys.readouterr().out)
    assert told is None or float(told[1]) < 6  # pages that were free may have taken them
    del kept
    watch.close()


def test_what_a_full_collection_has_reordered_is_no_news(
    shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    class Made:
        pass

    went = [[] for _ in range(3_000)]  # type: ignore[var-annotated]
    watch = Watch(shell)
    stay = [Made() for _ in range(2_000)]
    went.clear()
    gc.collect()
    shell.events.called(None)
    said = capsys.readouterr().out
    assert re.search(r"\+2,0\d\d objects \(2,000 Made", said), said
    assert len(stay) == 2_000
    watch.close()


def test_objects_set_aside_and_back_are_no_news(
    shell: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(shell)
    monkeypatch.setattr(marks, "_session", object())
    gc.freeze()
    try:
        shell.events.called(None)  # the cell as it is recorded
        assert capsys.readouterr().out == ""
    finally:
        gc.unfreeze()
    monkeypatch.setattr(marks, "_session", None)
    shell.events.called(None)  # the cell that the user has executed
    assert "objects" not in capsys.readouterr().out
    there = [[] for _ in range(10)]  # type: ignore[var-annotated]
    gc.freeze()
    try:
        shell.events.called(None)
        assert "objects" not in capsys.readouterr().out
        there.clear()
        stay = [[] for _ in range(2_000)]  # type: ignore[var-annotated]
        shell.events.called(None)
        assert "+2,00" in capsys.readouterr().out
    finally:
        gc.unfreeze()
    shell.events.called(None)
    assert "objects" not in capsys.readouterr().out
    assert len(stay) == 2_000
    watch.close()


def test_a_class_that_a_cell_has_replaced_is_not_kept(shell: Any) -> None:
    class Old:
        pass

    known, there = weakref.ref(Old), [Old()]
    watch = Watch(shell)
    shell.events.called(None)
    del Old
    there.clear()
    gc.collect()
    assert known() is None
    watch.close()


def test_the_watch_asked_for_again_goes_on_and_ends_with_the_extension() -> None:
    shell = InteractiveShell()
    before = list(shell.events.callbacks["post_run_cell"])
    cleanup = list(shell.input_transformers_cleanup)
    shell.run_line_magic("load_ext", "leaklab")
    for words in ("watch", "watch", "watch on"):
        shell.run_line_magic("leaklab", words)
        assert len(shell.events.callbacks["post_run_cell"]) == len(before) + 1
    shell.run_line_magic("reload_ext", "leaklab")
    assert shell.events.callbacks["post_run_cell"] == before
    shell.run_line_magic("leaklab", "watch")
    shell.run_line_magic("leaklab", "watch off")
    assert shell.events.callbacks["post_run_cell"] == before
    shell.run_line_magic("unload_ext", "leaklab")
    assert shell.find_line_magic("leaklab") is None
    assert shell.input_transformers_cleanup == cleanup


@pytest.mark.parametrize("fails", [False, True])
def test_what_the_first_error_loads_is_no_cells(
    shell: Any, capsys: pytest.CaptureFixture[str], fails: bool
) -> None:
    class Formatter:
        tb: Any = "the last one"
        loaded: list[list[int]] | None = None

        def structured_traceback(self, kind: Any, error: Any, trace: Any) -> list[str]:
            self.tb = trace
            self.loaded = self.loaded or [[number] for number in range(2_000)]
            if fails:
                raise RuntimeError("a formatter of the user's own")
            return []

    shell.InteractiveTB = formatter = Formatter()
    watch = Watch(shell)
    assert formatter.tb == "the last one"
    with contextlib.suppress(RuntimeError):
        formatter.structured_traceback(ValueError, ValueError(), None)
    shell.events.called(None)
    assert "objects" not in capsys.readouterr().out
    watch.close()


def test_no_change_has_a_sign_as_every_change_has(
    shell: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_line, "_resident_bytes", lambda: 5 * 2**20)
    watch = Watch(shell)
    shell.events.called(None)
    watch.close()
    assert capsys.readouterr().out.startswith("leaklab: +0 B resident")
