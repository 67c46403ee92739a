"""Notebooks as jobs, with small parameters. JupyterLab runs 00 and 99 (tests/browser)."""

import json
from pathlib import Path

import pytest

from leaklab.jobs import run_notebook

FOLDER = Path(__file__).parents[2] / "notebooks"


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
    from leaklab.cases import catalogue

    result = run_notebook(
        FOLDER / "90-scoreboard.ipynb", output_dir=tmp_path / "out", store=str(tmp_path / "empty")
    )
    assert result.error is None
    page = Path(result.html).read_text()
    claims = [claim for case in catalogue().values() for claim in case.claims]
    # A header row in each of the two tables, and the five documents with their total.
    assert page.count("<tr>") == len(claims) + 2 + 6
