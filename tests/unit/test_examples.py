"""Every public name and every method of a run carries an example, and each example runs."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import leaklab as ll
from leaklab.results.run import Run
from leaklab.store import open_run

REFERENCE = Path(__file__).parents[2] / "data" / "reference.zip"
# What is raised, what is shown, and rooms of functions that have examples of their own.
WITHOUT = {"LeaklabError", "UsageError", "Run", "plots"}
# Walks over all objects of this process, for minutes beside other tests: they have tests in
# processes of their own.
WALKS = {"ll.kernel", "ll.why_alive"}
SERVE = "from leaklab import mark\nfor _ in range(12):\n    mark()\n"


def documented() -> list[tuple[str, Callable[..., Any]]]:
    names = [(f"ll.{name}", getattr(ll, name)) for name in ll.__all__ if name not in WITHOUT]
    methods = [
        (f"run.{name}", method)
        for name, method in vars(Run).items()
        if not name.startswith("_") and inspect.isfunction(method)
    ]
    return names + methods


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the runs of the case that examples are about.

    All of the archive would be judged by each that makes a table: test_cases_reference does.
    """
    folder = tmp_path_factory.mktemp("store")
    with ZipFile(REFERENCE) as archive:
        names = [name for name in archive.namelist() if name.startswith("unbounded-cache/")]
        archive.extractall(folder, names)
    return str(folder)


@pytest.fixture(scope="module")
def runs(store: str) -> dict[str, Run]:
    return {
        variant: Run(open_run(ll.recordings.locate(f"unbounded-cache/{variant}", store)))
        for variant in ("before", "better_fix")
    }


@pytest.fixture
def names(
    store: str, runs: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What an example may use without making it: runs, a script, a file of figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAKLAB_STORE", store)
    (tmp_path / "serve.py").write_text(SERVE)
    seconds = list(range(60))
    values = [50e6 + 1e5 * second for second in seconds]
    rows = [f"{second},{value:.0f}" for second, value in zip(seconds, values, strict=True)]
    (tmp_path / "figures.csv").write_text("\n".join(["time_seconds,rss_bytes", *rows]))
    return {
        "ll": ll,
        "mark": ll.mark,
        "gauge": ll.gauge,
        "judge_series": ll.judge_series,
        "run": runs["before"],
        "before": runs["before"],
        "after": runs["better_fix"],
        "runs": runs,
        "seconds": seconds,
        "values": values,
    }


@pytest.mark.parametrize(("name", "thing"), documented(), ids=[name for name, _ in documented()])
def test_it_has_an_example_that_runs(
    name: str, thing: Callable[..., Any], names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(thing) or "")
    assert examples, f"{name} has no example"
    if name == "ll.record":
        monkeypatch.setenv("LEAKLAB_STORE", "runs")  # it writes
    for example in examples if name not in WALKS else ():
        try:
            code = compile(example.source, name, "eval")
        except SyntaxError:
            exec(compile(example.source, name, "exec"), names)
            continue
        value = eval(code, names)
        if example.want:
            assert f"{value!r}\n" == example.want
