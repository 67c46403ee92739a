"""What the main thread imports is told from the work that it does."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from leaklab.probe import imports

NAME = "leaklab_that_asks"
ASKS = "import leaklab.probe.imports as it\nfound = [it.asked() for _ in range(it.asked_count)]\n"


@pytest.mark.parametrize("before", [1, 100])
def test_a_module_that_comes_is_an_import_until_its_own_code_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    asked = imports.Imports()
    for _ in range(before):
        asked.under_way()
    # Of a library that took long, a module may take long.
    patience = max(imports.STILL_COUNT, before + 1)
    (tmp_path / f"{NAME}.py").write_text(ASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(imports, "asked", asked.under_way, raising=False)
    monkeypatch.setattr(imports, "asked_count", patience + 1, raising=False)
    try:
        found = importlib.import_module(NAME).found
        assert found == [True] * patience + [False]
    finally:
        sys.modules.pop(NAME, None)


def test_work_begins_once_no_more_modules_come() -> None:
    asked = imports.Imports()
    found = [asked.under_way() for _ in range(imports.STILL_COUNT + 1)]
    assert found == [True] * imports.STILL_COUNT + [False]
