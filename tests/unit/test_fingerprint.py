"""A recording is reused only when nothing that matters has changed."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from leaklab import recordings
from leaklab.errors import LeaklabError
from leaklab.recorder.fingerprint import fingerprint, is_unchanged, recorded_from
from leaklab.recordings import locating
from leaklab.store import RunWriter


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "serve.py").write_text("import app.cache")
    (tmp_path / "app" / "cache.py").write_text("CACHE = {}")
    return tmp_path


def taken(project: Path, *argv: str, **options: Any) -> str | None:
    return taken_by(None, argv or ("serve.py",), project, options)


def taken_by(
    python: str | None, argv: Sequence[str], folder: Path, options: dict[str, Any]
) -> str | None:
    return fingerprint(argv, recorded_from(argv, python, folder), folder, options)


def test_same_is_same(project: Path) -> None:
    assert taken(project) is not None
    assert taken(project, passes=("measure",)) == taken(project, passes=("measure",))


@pytest.mark.parametrize("changed", ["serve.py", "app/cache.py", "app/new.py"])
def test_an_edited_module_beside_the_script_counts(project: Path, changed: str) -> None:
    before = taken(project)
    (project / changed).write_text("CACHE = {1: 2}")
    assert taken(project) != before


def test_arguments_and_options_count(project: Path) -> None:
    found = {
        taken(project),
        taken(project, "serve.py", "500"),
        taken(project, passes=("measure",)),
        taken(project, env={"MALLOC_ARENA_MAX": "1"}),
        taken_by("/usr/bin/python3", ("serve.py",), project, {}),
    }
    assert len(found) == 5


def test_one_empty_working_folder_is_like_another(project: Path, tmp_path: Path) -> None:
    script = str(project / "serve.py")
    empty, another = tmp_path / "empty", tmp_path / "another"
    empty.mkdir()
    another.mkdir()

    def of(folder: Path) -> str | None:
        return taken_by(None, (script,), folder, {"cwd": str(folder)})

    same = of(empty)
    assert same is not None
    assert of(another) == same
    (another / "usage.json").write_text("{}")
    assert of(another) != same


def test_what_does_not_matter_does_not_count(project: Path) -> None:
    before = taken(project)
    (project / "notes.md").write_text("hello")
    (project / ".venv").mkdir()
    (project / ".venv" / "x.py").write_text("")
    (project / "data").mkdir()
    (project / "data" / "recorded.py").write_text("")
    assert taken(project) == before
    assert taken(project, env={"LEAKLAB_POSTGRES_URL": "postgresql://x"}) == before


def test_a_working_folder_counts_once_there_is_something_in_it(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def taken_in(folder: Path) -> str | None:
        return taken_by(None, [str(project / "serve.py")], folder, {"cwd": str(folder)})

    one, other = tmp_path_factory.mktemp("scratch"), tmp_path_factory.mktemp("scratch")
    assert taken_in(one) == taken_in(other) is not None
    (one / "data.json").write_text("{}")
    assert taken_in(one) != taken_in(other)


def test_what_cannot_be_known_is_recorded_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert taken(project, "uvicorn", "app:app") is None
    assert taken(project, "missing.py") is None
    assert taken(project, "-m", "app") is None
    monkeypatch.setattr("leaklab.recorder.fingerprint.SOURCE_LIMIT_COUNT", 1)
    assert taken(project) is None


@pytest.mark.parametrize("edited", ["serve.py", "app/cache.py"])
def test_a_run_says_what_code_it_was_recorded_from(project: Path, edited: str) -> None:
    code = recorded_from(["serve.py", "500"], None, project)
    assert code["folder"] == str(project.resolve())
    assert is_unchanged(code)
    (project / edited).write_text("CACHE = {1: 2}")
    assert not is_unchanged(code)
    # Of a program that is no script nothing is known, and nothing is vouched for.
    assert not is_unchanged(recorded_from(["uvicorn", "app:app"], None, project))


def stored(store: Path, digest: str, state: str, run_id: str) -> str:
    meta = {"run_id": run_id, "fingerprint": digest}
    writer = RunWriter.create(store, "serve", "before", meta)
    writer.close(state)
    return writer.path


def test_only_a_complete_equal_recording_is_found(tmp_path: Path) -> None:
    assert locating.find_recording(str(tmp_path), "serve", "before", "abc") is None
    stored(tmp_path, "abc", "interrupted", "20260103T000000-aaaaaa")
    assert locating.find_recording(str(tmp_path), "serve", "before", "abc") is None
    stored(tmp_path, "abc", "complete", "20260101T000000-aaaaaa")
    newest = stored(tmp_path, "abc", "complete", "20260102T000000-aaaaaa")
    stored(tmp_path, "abd", "complete", "20260104T000000-aaaaaa")
    assert locating.find_recording(str(tmp_path), "serve", "before", "abc") == newest


def test_runs_are_located_by_path_name_and_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = stored(tmp_path, "abc", "complete", "20260101T000000-aaaaaa")
    newer = stored(tmp_path, "abc", "complete", "20260102T000000-bbbbbb")
    monkeypatch.setenv("LEAKLAB_STORE", str(tmp_path))
    assert recordings.locate(older) == older
    assert recordings.locate(f"{older}/run.json") == older
    assert recordings.locate("serve") == recordings.locate("serve/before") == newer
    assert recordings.locate("20260101T000000-aaaaaa") == older
    with pytest.raises(LeaklabError, match="no such run: nothing"):
        recordings.locate("nothing")


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("日本", None),
        ("f\u00efle \u00fc", "nachher (2)"),
        ("हिन्दी", "before"),
        ("a/b [x]", None),
        ("a/b", "c d"),
        ("語" * 200, "語" * 200),
    ],
)
def test_a_run_is_found_by_the_name_it_is_shown_by(
    tmp_path: Path, name: str, variant: str | None
) -> None:
    for other in ("中国", "file"):
        RunWriter.create(tmp_path, other, variant, {}).close("complete")
    writer = RunWriter.create(tmp_path, name, variant, {})
    writer.close("complete")

    full = f"{name}/{variant}" if variant else name
    for asked in (name, full, unicodedata.normalize("NFD", full)):
        assert recordings.locate(asked, str(tmp_path)) == writer.path
    assert locating.find_recording(str(tmp_path), name, variant) == writer.path


def test_runs_under_the_names_of_an_earlier_leaklab_are_found(tmp_path: Path) -> None:
    for folder in ("f-le", "unnamed"):
        writer = RunWriter.create(tmp_path, folder, None, {"name": "f\u00efle"})
        writer.close("complete")
        assert recordings.locate(folder, str(tmp_path)) == writer.path


def test_what_is_there_but_no_run_is_said_to_be_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for text, what in (
        (str(pipe), "a pipe or device"),
        (os.devnull, "a pipe or device"),
        ("-", "standard input"),
    ):
        with pytest.raises(LeaklabError, match=f"^{what}, no run: {text}; save what comes from it"):
            recordings.open_or_read(text, str(tmp_path / "store"))
    with zipfile.ZipFile(tmp_path / "runs.zip", "w"):  # an archive of runs, of which it has none
        pass
    with pytest.raises(LeaklabError, match=r"^no run in the archive: .*; unpack it and name the"):
        recordings.open_or_read(str(tmp_path / "runs.zip"), str(tmp_path / "store"))


def test_a_path_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunWriter.create(tmp_path / "store", "unnamed", None, {}).close("complete")
    monkeypatch.chdir(tmp_path)
    for path in ("..x", "../x", "./x", "/x"):
        with pytest.raises(LeaklabError, match="no such run"):
            recordings.locate(path, str(tmp_path / "store"))


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(LeaklabError, match="unknown option: durations_seconds; allowed:"):
        recordings.record("x.py", durations_seconds=3)


def test_a_name_that_is_no_text_counts_as_its_bytes(project: Path) -> None:
    """As a file has it that came from another system; every name beyond ASCII under LC_ALL=C."""
    before = taken(project)
    Path(os.fsdecode(os.fsencode(project) + b"/caf\xe9.py")).write_text("CACHE = {}")
    assert taken(project) not in (None, before)
