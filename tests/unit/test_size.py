"""No module of leaklab grows over 400 lines, whatever it is for."""

from __future__ import annotations

from pathlib import Path

import leaklab

PACKAGE = Path(leaklab.__file__).parent
MODULE_LINES = 400


def test_no_module_is_too_long() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    lengths = {str(path.relative_to(PACKAGE)): text.count("\n") for path, text in texts.items()}

    assert len(lengths) > 300
    assert {name: count for name, count in lengths.items() if count > MODULE_LINES} == {}
