"""The corpus: each program has its label, and what a label names is in its program."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[2] / "corpus"
LABELS = tomllib.loads((CORPUS / "labels.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("label", ["leak", "healthy"])
def test_every_program_has_its_label(label: str) -> None:
    programs = {path.stem for path in (CORPUS / label).glob("*.py")} - {"loop"}

    assert len(programs) >= 70
    assert programs == set(LABELS[label])


@pytest.mark.parametrize("label", ["leak", "healthy"])
def test_a_label_names_what_is_there(label: str) -> None:
    for name, fields in LABELS[label].items():
        tree = ast.parse((CORPUS / label / f"{name}.py").read_text(encoding="utf-8"))
        functions = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        imported = {
            alias.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            str(node.module).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
        }

        assert fields.keys() <= {"resource", "function", "needs", "half"}, name
        assert ("resource" in fields) == (label == "leak"), name
        assert fields.get("function") in functions | {None}, name
        assert str(fields.get("needs")).partition(".")[0] in imported | {"None"}, name
