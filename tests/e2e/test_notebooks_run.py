"""Every notebook, most of them as a job, with small parameters.

JupyterLab runs 00 and 99 (tests/browser).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from kernels import Kernel, started_kernel
from nbformat.v4 import new_code_cell, new_notebook, new_output
from recorded import shared_store

from leaklab.catalogue.reference import PAIRS
from leaklab.jobs import notebook_parameters, run_notebook
from leaklab.jobs.notebook import runs_shown

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
OF_A_MECHANISM = [
    path
    for path in sorted(FOLDER.glob("*.ipynb"))
    if "recorded" in {parameter.name for parameter in notebook_parameters(path)}
]


def test_there_is_a_notebook_for_every_mechanism_with_a_reference() -> None:
    assert set(PAIRS) <= {path.stem.partition("-")[2] for path in OF_A_MECHANISM}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One for all: to start it takes longer than most notebooks do. The others have their own."""
    with started_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.mark.parametrize("path", OF_A_MECHANISM, ids=lambda path: path.stem)
def test_a_mechanism_can_be_read_where_nothing_can_be_recorded(path: Path, kernel: Kernel) -> None:
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert cells[0].metadata.tags == ["parameters"]
    given = f"recorded = {str(ROOT / 'data' / 'reference.zip')!r}"
    # Nothing of the notebook before it is there for this one.
    replies = [kernel.run("%reset -f")]
    replies += [kernel.run(source) for source in (cells[0].source, given)]
    replies += [kernel.run(cell.source) for cell in cells[1:]]

    assert [reply.error for reply in replies if reply.error] == []
    left = kernel.run("import os; print(os.path.exists(os.environ['LEAKLAB_STORE']))")
    assert left.text.strip() == "False"
    outputs = [new_output("display_data", one) for reply in replies for one in reply.shown]
    shown = runs_shown(new_notebook(cells=[new_code_cell(outputs=outputs)]))
    pair = PAIRS[path.stem.partition("-")[2]]
    assert {run["variant"] for run in shown} == {pair.before, pair.after}


def test_how_verdicts_work_runs_on_short_series(tmp_path: Path) -> None:
    result = run_notebook(
        FOLDER / "80-how-verdicts-work.ipynb",
        {"count": 40, "repeats": 5},
        output_dir=tmp_path / "out",
    )
    assert result.error is None


@pytest.mark.slow
def test_a_mechanism_is_told_from_claim_to_verdict(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = shared_store(tmp_path_factory)  # two of its four runs are those of test_cases_headline
    result = run_notebook(
        FOLDER / "01-unpruned-json.ipynb",
        {"iterations": 80},
        output_dir=tmp_path / "out",
        store=str(store),
    )

    assert result.error is None
    verdicts = {run["variant"]: run["verdict"] for run in result.runs}
    assert verdicts["before"] == "leak"
    assert set(verdicts) == {"before", "documented_fix", "documented_fix_churn", "better_fix"}
    notebook = json.loads(Path(result.executed).read_text())
    shown = json.dumps([cell.get("outputs") for cell in notebook["cells"]])
    assert "size of usage.json" in shown or "file_bytes:usage.json" in shown
    assert "prune_dates" in shown  # the code difference
    page = Path(result.html).read_text()
    assert len(page) < 2_000_000
    assert str(tmp_path) not in page
    assert str(store) not in page


def test_a_run_that_is_there_is_shown_without_recording_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    options = {"output_dir": tmp_path / "out", "store": str(store)}
    first = run_notebook(
        FOLDER / "99-your-own-script.ipynb", {"passes": "measure"}, **options
    )  # fmt: skip
    assert first.error is None
    (run,) = first.runs
    assert run["verdict"] == "leak"
    (recorded,) = store.glob("*/*/*/run.json")

    again = run_notebook(
        FOLDER / "99-your-own-script.ipynb", {"run": str(recorded.parent)}, **options
    )
    assert again.error is None
    assert [one["run"] for one in again.runs] == [run["run"]]
    assert len(list(store.glob("*/*/*/run.json"))) == 1


def test_the_scoreboard_lists_every_claim_without_any_run(tmp_path: Path) -> None:
    from leaklab.catalogue.model import catalogue

    result = run_notebook(
        FOLDER / "90-scoreboard.ipynb", output_dir=tmp_path / "out", store=str(tmp_path / "empty")
    )
    assert result.error is None
    page = Path(result.html).read_text()
    claims = [claim for case in catalogue().values() for claim in case.claims]
    # A header row in each of the two tables, and the five documents with their total.
    assert page.count("<tr>") == len(claims) + 2 + 6
