"""The notebooks as they are committed: stripped, thin, and with parameters a job can check."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from leaklab.jobs import notebook_parameters

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_LINES = 12


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def read(path: Path) -> dict[str, Any]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(notebook, dict)
    return notebook


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks() -> None:
    assert {"00-start-here", "99-your-own-script"} <= {path.stem for path in NOTEBOOKS}


def test_it_is_valid_and_stripped(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert set(notebook["metadata"]["language_info"]) == {"name"}
    for cell in code_cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert set(cell["metadata"]) <= {"tags"}


def test_cells_are_short_and_define_nothing(path: Path) -> None:
    for cell in code_cells(path):
        source = "".join(cell["source"])
        assert len(source.splitlines()) <= CELL_LINES, source
        python = "\n".join(
            "" if line.startswith(("%", "!")) else line for line in source.splitlines()
        )
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not [n for n in ast.walk(ast.parse(python)) if isinstance(n, definitions)], source


def test_it_begins_with_a_title(path: Path) -> None:
    first = read(path)["cells"][0]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).startswith("# ")


def test_parameters_are_explained_and_papermill_reads_the_same(path: Path) -> None:
    import papermill

    ours = {parameter.name: parameter for parameter in notebook_parameters(path)}
    assert ours
    assert all(parameter.help for parameter in ours.values())
    theirs = papermill.inspect_notebook(str(path))
    assert {name: found["inferred_type_name"] for name, found in theirs.items()} == {
        name: parameter.type for name, parameter in ours.items()
    }
    assert all(found["help"].startswith(ours[name].help) for name, found in theirs.items())


def test_ruff_finds_nothing() -> None:
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", str(FOLDER)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
