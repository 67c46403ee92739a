"""Every notebook as a job, with small parameters. JupyterLab runs 00 and 99 (tests/browser)."""

import json
from pathlib import Path

import pytest

from leaklab.catalogue.reference import PAIRS
from leaklab.jobs import notebook_parameters, run_notebook

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
OF_A_MECHANISM = [
    path
    for path in sorted(FOLDER.glob("*.ipynb"))
    if "recorded" in {parameter.name for parameter in notebook_parameters(path)}
]


def test_there_is_a_notebook_for_every_mechanism_with_a_reference() -> None:
    assert set(PAIRS) <= {path.stem.partition("-")[2] for path in OF_A_MECHANISM}


@pytest.mark.parametrize("path", OF_A_MECHANISM, ids=lambda path: path.stem)
def test_a_mechanism_can_be_read_where_nothing_can_be_recorded(path: Path, tmp_path: Path) -> None:
    result = run_notebook(
        path,
        {"recorded": str(ROOT / "data" / "reference.zip")},
        output_dir=tmp_path / "out",
        store=str(tmp_path / "store"),
    )

    assert result.error is None
    assert not (tmp_path / "store").exists()
    pair = PAIRS[path.stem.partition("-")[2]]
    assert {run["variant"] for run in result.runs} == {pair.before, pair.after}


def test_how_verdicts_work_runs_on_short_series(tmp_path: Path) -> None:
    result = run_notebook(
        FOLDER / "80-how-verdicts-work.ipynb",
        {"count": 40, "repeats": 5},
        output_dir=tmp_path / "out",
    )
    assert result.error is None


@pytest.mark.slow
def test_a_mechanism_is_told_from_claim_to_verdict(tmp_path: Path) -> None:
    result = run_notebook(
        FOLDER / "01-unpruned-json.ipynb",
        {"iterations": 80},
        output_dir=tmp_path / "out",
        store=str(tmp_path / "store"),
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
