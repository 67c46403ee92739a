"""Which kernel a notebook runs in, and what is refused before a job starts."""

import json
from pathlib import Path

import pytest

from leaklab.errors import LeaklabError, UsageError
from leaklab.jobs.kernels import OWN_KERNEL, kernel_of


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for name, language in ((OWN_KERNEL, "python"), ("statistics", "R"), ("silent", "")):
        folder = tmp_path / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": ["true"], "display_name": name, "language": language}
        (folder / "kernel.json").write_text(json.dumps(spec))


def notebook(name: str | None) -> dict[str, object]:
    return {"cells": [], "metadata": {} if name is None else {"kernelspec": {"name": name}}}


@pytest.mark.parametrize(
    ("named", "chosen", "found"),
    [
        ("statistics", None, ("statistics", "R")),
        ("statistics", OWN_KERNEL, (OWN_KERNEL, "python")),
        ("conda-env-gone-py", "statistics", ("statistics", "R")),
        (None, None, (OWN_KERNEL, "python")),
        ("silent", None, ("silent", "python")),
    ],
)
def test_the_chosen_kernel_the_named_one_or_ours(
    named: str | None, chosen: str | None, found: tuple[str, str]
) -> None:
    assert kernel_of(notebook(named), "job", chosen) == found


@pytest.mark.parametrize("without", [{}, {"metadata": None}, {"metadata": {"kernelspec": None}}])
def test_a_notebook_without_the_metadata_runs_in_ours(without: dict[str, object]) -> None:
    assert kernel_of(without, "job", None) == (OWN_KERNEL, "python")


def test_a_kernel_that_is_not_here_is_named_with_those_that_are() -> None:
    message = "job names a kernel that is not here: conda-env-gone-py; choose one with --kernel: "
    with pytest.raises(LeaklabError, match=message) as refused:
        kernel_of(notebook("conda-env-gone-py"), "job", None)
    assert "statistics" in str(refused.value)
    with pytest.raises(UsageError, match=r"no such kernel here: gone; allowed: .*statistics"):
        kernel_of(notebook(OWN_KERNEL), "job", "gone")
