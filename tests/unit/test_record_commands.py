"""What a command is: found in the environment asked for, named after what it runs in the end."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from leaklab.errors import LeaklabError
from leaklab.recorder.command import resolve, search_path
from leaklab.recorder.launchers import option_without_probe, python_part, unwrapped

PRINTS_PREFIX = "import sys; print(sys.prefix)\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with a console script ``serve`` and a program that is no Python."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.EnvBuilder(symlinks=True).create(folder)
    scripts = {
        "serve": f"#!{folder}/bin/python\n{PRINTS_PREFIX}",
        # What pip writes where the path of the interpreter is long.
        "long": f"#!/bin/sh\n'''exec' '{folder}/bin/python' \"$0\" \"$@\"\n' '''\n{PRINTS_PREFIX}",
        "shell": f'#!/bin/sh\n"{folder}/bin/python" -c "{PRINTS_PREFIX.strip()}"\n',
    }
    for name, text in scripts.items():
        path = folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a script, a module and executable scripts of several first lines."""
    (tmp_path / "app.py").write_text(PRINTS_PREFIX)
    for name, first in (("plain", "python"), ("split", "-S python -u"), ("bare", "python3")):
        (tmp_path / name).write_text(f"#!/usr/bin/env {first}\n{PRINTS_PREFIX}")
        (tmp_path / name).chmod(0o755)
    return tmp_path


COMMANDS = [
    (["serve"], "serve"),
    (["long"], "long"),
    (["shell"], "shell"),
    (["app.py"], "app"),
    (["-m", "app"], "app"),
    (["python", "app.py"], "app"),
    (["python", "-X", "dev", "-u", "app.py", "other.py"], "app"),
    (["python3", "-m", "app"], "app"),
    (["python", "-um", "app"], "app"),
    (["./plain"], "plain"),
    (["./split"], "split"),
    (["./bare"], "bare"),
    (["plain"], "plain"),
    (["env", "-S", "python -u app.py"], "app"),
    (["env", "-u", "OTHER", "NAME=x", "python", "app.py"], "app"),
    (["/usr/bin/env", "python", "app.py"], "app"),
    (["nohup", "python", "app.py"], "app"),
    (["timeout", "-k", "1", "20", "python", "app.py"], "app"),
    (["nice", "-n", "1", "timeout", "20", "serve", "--fast"], "serve"),
    (["sh", "-c", "python app.py"], "app"),
    (["bash", "-ec", "cd . && NAME=x exec python -m app | cat; true"], "app"),
    (["sh", "-c", "serve"], "serve"),
]


@pytest.mark.parametrize(("command", "name"), COMMANDS, ids=lambda value: "_".join(value)[:40])
def test_it_runs_in_the_environment_asked_for(
    environment: Path, folder: Path, command: list[str], name: str
) -> None:
    if command[0].startswith("/") and not Path(command[0]).exists():
        pytest.skip(f"this machine has no {command[0]}")
    found = resolve(command, str(environment), str(folder))
    assert found.name == name
    env = {**os.environ, "PATH": search_path(found, os.environ["PATH"])}
    done = subprocess.run(
        found.argv, cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == str(environment)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("uv run app.py", ("script", "app.py")),
        ("uv run --with rich --no-sync -- python -m app", ("module", "app")),
        ("uv run -m app", ("module", "app")),
        ("uv pip install app.py", None),
        ("uvx --from jupyter jupyter-lab", None),
        ("poetry -C project run python app.py", ("script", "app.py")),
        ("pipenv run python app.py", ("script", "app.py")),
        ("conda run -n work python app.py", ("script", "app.py")),
        ("python -c pass app.py", None),
        ("python", None),
        ("taskset 0x1 stdbuf -oL python3.12 jobs/app.py", ("script", "jobs/app.py")),
        ("sh run.sh app.py", None),
    ],
)
def test_launchers_are_seen_through(command: str, what: tuple[str, str] | None) -> None:
    assert python_part(unwrapped(command.split())) == what


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("python -I app.py", "-I"),
        ("env A=1 python3.12 -X dev -W error -Es app.py", "-E"),
        ("sh -c 'python -uS app.py'", "-S"),
        ("python -u --check-hash-based-pycs never -B -I -m app", "-I"),
        ("python -WIgnored -XE app.py", None),
        ("python -cI", None),
        ("python -mIE -S", None),
        ("python -m app -I", None),
        ("python app.py -I", None),
        ("python - -I", None),
        ("node -I app.js", None),
    ],
)
def test_the_option_that_keeps_the_probe_out(command: str, option: str | None) -> None:
    assert option_without_probe(shlex.split(command)) == option


def test_uv_runs_what_is_named(folder: Path, environment: Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv is not installed")
    command = [uv, "run", "--no-project", "--offline", "--python", sys.executable, "app.py"]
    found = resolve(command, None, str(folder))
    assert (found.name, found.source) == ("app", folder / "app.py")
    subprocess.run(found.argv, cwd=folder, check=True, capture_output=True, timeout=60)


def test_a_program_that_is_nowhere_is_said(environment: Path, tmp_path: Path) -> None:
    with pytest.raises(LeaklabError, match=r"no such program: nowhere beside .*; look at"):
        resolve(["nowhere", "app:app"], str(environment), str(tmp_path))


def test_the_source_of_a_console_script_is_a_library(environment: Path, folder: Path) -> None:
    assert resolve(["serve"], str(environment), str(folder)).source is None
    assert resolve(["timeout", "9", "python", "app.py"], None, str(folder)).source is not None
