"""The magics' own words: options, refusals, completion. What they record is tested end to end."""

from typing import Any

import pytest
from IPython.core.completer import CompletionContext
from IPython.core.error import UsageError as MagicUsageError
from IPython.core.interactiveshell import InteractiveShell

from leaklab import recordings
from leaklab.errors import RecordingInterruptedError
from leaklab.jupyter import magics


def completions(line: str) -> list[str]:
    context = CompletionContext(
        token=line.rpartition(" ")[2],
        full_text=line,
        cursor_position=len(line),
        cursor_line=0,
        limit=None,
    )
    return [one.text for one in magics.complete(context)["completions"]]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "leaklab")
    monkeypatch.setattr(magics, "show_run", lambda run: None)
    return shell


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    calls: list[tuple[Any, dict[str, Any]]] = []

    def record(target: Any, **options: Any) -> str:
        calls.append((target, options))
        return "the run"

    monkeypatch.setattr(recordings, "record", record)
    return calls


@pytest.mark.parametrize(
    ("line", "own", "command"),
    [
        ("", "", []),
        ("serve.py", "", ["serve.py"]),
        ("serve.py --name x", "", ["serve.py", "--name", "x"]),
        ("--name x --fresh serve.py 5", "--name x --fresh", ["serve.py", "5"]),
        ("--name=x --fresh serve.py --port=5", "--name=x --fresh", ["serve.py", "--port=5"]),
        ("--duration 5s -- -m app --fresh", "--duration 5s", ["-m", "app", "--fresh"]),
        ("-m app", "", ["-m", "app"]),
        ("'my serve.py' 'a b'", "", ["my serve.py", "a b"]),
    ],
)
def test_what_belongs_to_the_magic_and_what_to_the_command(
    line: str, own: str, command: list[str]
) -> None:
    assert magics.split_line(line) == (own, command)


def test_a_script_is_recorded_and_bound(
    shell: InteractiveShell, recorded: list[tuple[Any, dict[str, Any]]]
) -> None:
    shell.run_line_magic(
        "leaklab",
        "--passes measure --duration 1.5m --limit-memory 200MB --mark-on http --mark-on task "
        "--drive load.py --until-decided --store here serve.py --port 80",
    )
    ((target, options),) = recorded
    assert target == ["serve.py", "--port", "80"]
    assert options["passes"] == ("measure",)
    assert options["duration_seconds"] == 90
    assert options["limit_memory_bytes"] == 200_000_000
    assert options["fresh"] is False
    assert options["mark_on"] == ["http", "task"]
    assert (options["drive"], options["store"]) == ("load.py", "here")
    assert options["until_decided"] is True
    assert shell.user_ns["leaklab_run"] == "the run"


@pytest.mark.parametrize("cell", [None, "x = 1"])
def test_an_interrupted_recording_is_shown_and_bound(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, cell: str | None
) -> None:
    def record(target: Any, **options: Any) -> str:
        raise RecordingInterruptedError("the run", "store/serve/default/1")

    shown: list[str] = []
    monkeypatch.setattr(recordings, "record", record)
    monkeypatch.setattr(magics, "show_run", shown.append)
    where = (
        r"leaklab: interrupted; what was measured until then: ll.open\('store/serve/default/1'\)"
    )
    with pytest.raises(magics.CellError, match=where):
        if cell is None:
            shell.run_line_magic("leaklab", "serve.py")
        else:
            shell.run_cell_magic("leaklab", "--child", cell)
    assert shown == ["the run"]
    assert shell.user_ns["leaklab_run"] == "the run"


@pytest.mark.parametrize(
    ("line", "cell", "message"),
    [
        ("", None, "nothing to record; write %leaklab script.py"),
        ("--child serve.py", None, "--child is for a cell"),
        ("--duration soon serve.py", None, "not a duration: soon"),
        ("serve.py", "x = 1", "a cell takes no command: serve.py"),
        ("--duration 5s", "x = 1", "--duration needs a process of its own: add --child"),
        ("--mark-on task", "x = 1", "--mark-on needs a process of its own: add --child"),
        ("--limit-memory 1GB", "x = 1", "--limit-memory needs a process of its own: add --child"),
        ("--nmae x", None, "unknown option: --nmae; allowed: --child, --drive, --duration"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    shell: InteractiveShell,
    recorded: list[tuple[Any, dict[str, Any]]],
    line: str,
    cell: str | None,
    message: str,
) -> None:
    with pytest.raises(MagicUsageError, match=message):
        if cell is None:
            shell.run_line_magic("leaklab", line)
        else:
            shell.run_cell_magic("leaklab", line, cell)
    assert recorded == []


def test_help_names_every_option(shell: InteractiveShell) -> None:
    text = magics.LeaklabMagics.leaklab.__doc__ or ""
    assert all(option in text for option in magics.OPTIONS)
    assert "in place" in text


@pytest.mark.parametrize("line", ["--help", "--fresh --help serve.py", "kernel --help"])
def test_help_is_printed_where_it_is_asked_for(
    shell: InteractiveShell,
    recorded: list[tuple[Any, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    line: str,
) -> None:
    shell.run_line_magic("leaklab", line)
    said = capsys.readouterr().out
    assert "--name" in said
    assert "%leaklab kernel" in said
    assert recorded == []


def test_help_of_a_script_is_its_own(
    shell: InteractiveShell, recorded: list[tuple[Any, dict[str, Any]]]
) -> None:
    shell.run_line_magic("leaklab", "--name=x serve.py --help")
    ((target, options),) = recorded
    assert (target, options["name"]) == (["serve.py", "--help"], "x")


def test_completion_offers_options_and_files(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "serve.py").touch()
    (tmp_path / "services").mkdir()
    assert completions("%leaklab --p") == ["--passes", "--python"]
    assert completions("%leaklab --fresh ser") == ["serve.py", "services/"]
    assert completions("%leaklab ") == ["kernel", "watch", "serve.py", "services/"]
    assert completions("%leaklab kernel --s") == ["--since"]
    assert completions("%leaklab --passes measure,gr") == ["measure,graph"]
    assert completions("x = 1") == []


def test_figures_have_no_width_of_their_own() -> None:
    from xml.etree import ElementTree

    from IPython.core.pylabtools import print_figure

    from leaklab.jupyter.extension import fluid
    from leaklab.plots import style

    drawn = print_figure(style.figure_of(style.detached_axes()), fmt="svg")
    root = ElementTree.fromstring(fluid(drawn) or "")
    assert (root.get("width"), root.get("height")) == ("100%", None)
    assert len(str(root.get("viewBox")).split()) == 4
    assert fluid(None) is None
