"""The command line: what it refuses and how, what its exit statuses are, what help says."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from leaklab import doctor
from leaklab.__main__ import run
from leaklab.catalogue import model
from leaklab.cli import COMMANDS, command_parser, investigate, main
from leaklab.errors import UsageError
from leaklab.present import text
from leaklab.quantities import duration_seconds, size_bytes
from leaklab.store import RunWriter


def status_and_error(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(arguments)
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error  # one line, no traceback
    assert error.startswith("leaklab: ")
    return status, error


def test_an_interruption_is_one_line_also_while_the_command_line_is_imported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    def interrupted(arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("leaklab.cli._dispatch", interrupted)
    assert status_and_error(capsys, "show") == (130, "leaklab: interrupted\n")
    monkeypatch.setitem(sys.modules, "leaklab.cli", Interrupted("leaklab.cli"))
    assert run() == 130
    assert capsys.readouterr().err == "leaklab: interrupted\n"
    declared = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(declared.read_text(encoding="utf-8"))
    assert project["project"]["scripts"]["leaklab"] == f"{run.__module__}:{run.__name__}"


@pytest.mark.parametrize("given", [["payload_bytes", "100,5000"], ["payload_bytes=100,5000"]])
def test_a_parameter_is_given_either_way(
    capsys: pytest.CaptureFixture[str], given: list[str]
) -> None:
    arguments = ["jobs", "-p", *given, "unbounded-cache", "--variant", "before", "--dry-run"]
    assert main(arguments) == 0
    labels = [f"unbounded-cache/before (payload_bytes={size})" for size in (100, 5000)]
    assert capsys.readouterr().out.splitlines() == labels


def test_the_size_with_quick_is_told_where_it_is_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = "parameters.%s]\ntype = '%s'\ndefault = %s\nhelp = 'what'\n"
    folder = tmp_path / "own"
    folder.mkdir()
    claim = (
        "[[claims]]\ndocument = '001'\nsection = '1'\ntext = 'x'\nverdict = 'right'\nwhy = 'y'\n"
    )
    (folder / "case.toml").write_text(
        f"title = 'x'\nmechanism = 'y'\n{claim}[{table % ('verbose', 'bool', 'false')}"
        f"[{table % ('row_bytes', 'int', 8000)}[{table % ('count', 'int', 90)}quick = 9\n"
    )
    monkeypatch.setattr(model, "FOLDER", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["cases", "own"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[lines.index("  parameters (-p NAME VALUE)") + 1 :] == [
        "    verbose = false: what",
        "    row_bytes = 8000: what",
        "    count = 90 (9 with --quick): what",
    ]
    assert main(["cases", "own", "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert {name: one["quick"] for name, one in document["parameters"].items()} == {
        "verbose": False, "row_bytes": 8000, "count": 9
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recrod"], "did you mean record?"),
        (["frobnicate"], "allowed: investigate"),
        (["record"], "nothing to record"),
        (["record", "--pid", "1", "--", "x.py"], "both a command and --pid"),
        (["record", "--pid", "abc"], "not a process id: abc"),
        (["record", "--duration", "5x", "--", "x.py"], "not a duration: 5x"),
        (["record", "--limit-memory", "lots", "--", "x.py"], "not a size: lots"),
        (["record", "--env", "NOVALUE", "--", "x.py"], "not an assignment: NOVALUE"),
        (["record", "--passes", "explain,guess", "--", "x.py"], "unknown pass: guess"),
        (["record", "--mark-on", "line:(", "--", "x.py"], "not a regular expression"),
        (["record", "--frobnicate", "--", "x.py"], "see `leaklab record --help`"),
        (["record", "--python", "/nowhere/python", "--", __file__], "no such interpreter"),
        (["investigate"], "nothing to investigate"),
        (["investigate", "--all", "--", "x.py"], "exclude each other"),
        (["investigate", "no-such-case"], "unknown case"),
        (["investigate", "unbounded-cache", "-p", "itertions", "5"], "unknown parameter"),
        (["investigate", "unbounded-cache", "-p", "iterations", "ten"], "allowed is int"),
        (["investigate", "unbounded-cache", "--native"], "only for a command of your own"),
        (["investigate", "--quick", "--", "x.py"], "only for cases"),
        (["show", "a", "--fail-on", "leaks"], "unknown verdict: leaks"),
        (["compare", "a", "b", "--fail-on", "bad"], "unknown outcome: bad"),
        (["run", "nowhere.ipynb"], "no such notebook"),
        (["watch", "x"], "not a process id"),
        (["import", "nowhere.bin"], "no such file"),
        (["show", "a", "--horizon", "-3d"], "not more than 0: -3d; write it as 30s"),
        (["show", "a", "--limit", "-.5G"], "not more than 0: -.5G; write it as 200MB"),
        (["record", "--limit-memory", "0", "--", "x.py"], "not more than 0: 0; write it as"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    status, error = status_and_error(capsys, *arguments)
    assert message in error
    assert status == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "no-such-run"], "no such run: no-such-run"),
        (["show", "{tmp}"], "not a run"),
        (["record", "--", "missing.py"], "no such script: missing.py"),
        (["record", "--", "no-such-program-anywhere"], "no such program"),
        (["watch", "4194304"], "no such process"),
    ],
)
def test_failures_are_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    store = ["--store", str(tmp_path)] if arguments[0] in ("show", "record") else []
    status, error = status_and_error(capsys, filled[0], *store, *filled[1:])
    assert message in error
    assert status == 1


def test_help_lists_every_command_quickly() -> None:
    # Children's CPU time, best of three: others may be using the machine.
    best = float("inf")
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "leaklab", "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, used)
    assert best < 0.3
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    for action in command_parser(name)._actions:
        assert action.help, f"leaklab {name}: {action.option_strings or action.dest} has no help"


def test_every_command_and_option_is_in_the_documentation() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for name in COMMANDS:
        assert f"leaklab {name}" in readme, f"README.md does not mention: leaklab {name}"


def test_sizes_and_durations() -> None:
    assert size_bytes("200MB") == 200_000_000
    assert size_bytes("1.5 GiB") == 3 * 2**29
    assert size_bytes("4096") == 4096
    assert size_bytes("512Mi") == 512 * 2**20
    assert duration_seconds("1y") == 365 * 86_400
    assert duration_seconds("250ms") == 0.25
    assert duration_seconds("5m") == 300
    assert duration_seconds("1.5h") == 5400
    for bad in ("", "-5s", "0", "5 parsecs", "1e9"):
        with pytest.raises(UsageError):
            duration_seconds(bad)


def test_escape_sequences_do_not_reach_the_terminal() -> None:
    hostile = "a\x1b[31mred\x07\u202ereversed\u2028line\nnext\x9b2J"
    shown = text.safe(hostile)
    assert shown == r"a\x1b[31mred\x07\u202ereversed\u2028line\nnext\x9b2J"
    assert text.safe("grün → 漢字") == "grün → 漢字"


def test_show_opens_the_newest_run_by_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for run_id in ("20260101T000000-aaaaaa", "20260102T000000-bbbbbb"):
        writer = RunWriter.create(tmp_path, "thing", "before", {"run_id": run_id})
        writer.close()
    for asked in ("thing", "thing/before", "20260102T000000-bbbbbb"):
        assert main(["show", asked, "--store", str(tmp_path), "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["run"].endswith("20260102T000000-bbbbbb")
        assert shown["verdict"] == "inconclusive"
    assert main(["show", "thing", "--store", str(tmp_path), "--fail-on", "inconclusive"]) == 3


def test_import_prints_one_document_of_one_file_and_one_a_line_of_several(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    files = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join(["time,rss_mb", *(f"{n},100" for n in range(20))]))
        files.append(str(path))
    store = ["--store", str(tmp_path / "store"), "--json"]
    assert main(["import", *files, *store]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["one", "two"]
    assert main(["import", files[0], *store]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["name"] == "one"
    assert printed.startswith("{\n ")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_names_status_3_where_there_is_an_option_for_it(name: str) -> None:
    text = command_parser(name).format_help()
    assert ("3 what --fail-on names was found" in text) == ("--fail-on LIST" in text)


def test_watch_follows_until_the_process_ends(capsys: pytest.CaptureFixture[str]) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.stdin is not None
    try:
        assert main(["watch", str(child.pid), "--duration", "100ms", "--interval", "20ms"]) == 0
        assert "resident" in capsys.readouterr().out
        child.stdin.close()
        assert main(["watch", str(child.pid), "--json", "--interval", "20ms"]) in (0, 1)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("name", ["99-your-own-script", "notebooks/99-your-own-script.ipynb"])
def test_a_notebook_of_leaklabs_own_is_found_by_name(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "99-your-own-script").mkdir()  # as a job's output is called
    assert main(["run", name, "--help-notebook"]) == 0
    assert "command" in capsys.readouterr().out


@pytest.mark.parametrize("works", [True, False])
def test_doctor_does_not_say_that_what_is_missing_works(works: bool) -> None:
    finding = doctor.cgroup_limit(works)
    assert ("is readable" in finding.what) is works
    assert finding.what.startswith("no memory limit") is not works


def test_doctor_says_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok  ", "--  ")) for line in lines)
    assert {"memray", "fork", "attach"} <= {line.split()[1] for line in lines}


def test_own_pid_is_watchable_from_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(os.getpid()), "--json", "--duration", "10ms"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert first["rss_bytes"] > 1_000_000


def test_investigate_says_that_its_page_is_still_to_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said: list[str] = []

    def rendered(*given: object, **options: object) -> SimpleNamespace:
        said.append(capsys.readouterr().err)
        return SimpleNamespace(error=None, html="page.html")

    monkeypatch.setattr("leaklab.jobs.run_notebook", rendered)
    arguments = command_parser("investigate").parse_args(["--output", str(tmp_path), "--", "a.py"])
    assert investigate._own_report(SimpleNamespace(path=tmp_path, label="a"), arguments)
    assert said == ["leaklab: the report is made by a notebook; its page comes last\n"]
