"""No module grows over 400 lines and no function over 60, whatever it is for."""

from __future__ import annotations

import ast
from pathlib import Path

import leaklab

PACKAGE = Path(leaklab.__file__).parent
MODULE_LINES = 400
FUNCTION_LINES = 60
SOURCES = {
    str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8")
    for path in PACKAGE.rglob("*.py")
}


def test_no_module_is_too_long() -> None:
    lengths = {name: text.count("\n") for name, text in SOURCES.items()}

    assert len(lengths) > 300
    assert {name: count for name, count in lengths.items() if count > MODULE_LINES} == {}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{name}:{node.lineno} {node.name}": int(node.end_lineno or 0) - node.lineno + 1
        for name, text in SOURCES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert len(lengths) > 2000
    assert {name: count for name, count in lengths.items() if count > FUNCTION_LINES} == {}
