"""A case of one's own, written as `leaklab/cases/README.md` says, word for word."""

import re
import shlex
from pathlib import Path

import pytest

from leaklab import recordings
from leaklab.catalogue import model
from leaklab.cli import main

GUIDE = model.FOLDER / "README.md"


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    return str(text)


def test_a_case_is_written_as_its_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cases" / "orders-kept"
    folder.mkdir(parents=True)
    (folder / "case.toml").write_text(block("toml"), encoding="utf-8")
    (folder / "target.py").write_text(block("python"), encoding="utf-8")
    monkeypatch.setattr(model, "FOLDER", folder.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAKLAB_STORE", str(tmp_path / "runs"))

    for line in block("sh").splitlines():
        status = main(shlex.split(line)[1:])
        said = capsys.readouterr()
        assert status == 0, said.err
        assert "unexpected" not in said.err

    run = recordings.open("orders-kept/before")
    assert run.meta["parameters"] == {"iterations": 120, "row_bytes": 8000, "verbose": False}
    assert [one["stdout_tail"] for one in run.meta["passes"]] == ["", ""]
    checked = model.case("orders-kept").check(run)
    assert checked["ok"].all()
    assert set(checked["measured"]) >= {"leak", "120"}


def test_help_says_where_the_guide_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["cases", "--help"])
    assert str(GUIDE) in capsys.readouterr().out.replace("\n", "")
