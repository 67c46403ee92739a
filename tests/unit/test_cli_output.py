"""What becomes of the command line's output where it cannot be written, or not all of it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leaklab.cli import output
from leaklab.cli.output import Output, OutputError

FULL = "/dev/full"
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


# A width, where the tests run on a terminal, is none of a pipe.
NOT_PASSED_ON = ("COLUMNS", "PYTHONUNBUFFERED", "PYTHONUTF8")


def ran(shell: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    kept = {k: v for k, v in os.environ.items() if k not in NOT_PASSED_ON}
    return subprocess.run(
        ["sh", "-c", shell.replace("leaklab", f"{sys.executable} -m leaklab")],
        capture_output=True,
        timeout=60,
        check=False,
        env={**kept, **variables},
    )


@pytest.mark.skipif(not Path(FULL).exists(), reason=f"no {FULL} here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["cases", "--version", "cases --help"])
def test_a_full_disk_is_one_line(command: str, unbuffered: str) -> None:
    done = ran(f"leaklab {command} >{FULL}", PYTHONUNBUFFERED=unbuffered)

    assert done.stderr == b"leaklab: cannot write the output: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.skipif(not Path(FULL).exists(), reason=f"no {FULL} here")
def test_with_no_room_for_the_error_the_exit_status_still_tells() -> None:
    assert ran(f"leaklab frobnicate 2>{FULL}").returncode == 2


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("cases", 0),
        ("--version", 0),
        ("cases frobnicate", 2),
        ("audit here.py --fail-on new --baseline none.json", 3),
        # Without an end of its own: it ends because nobody reads it.
        pytest.param(f"watch {os.getpid()} --interval 0.1", 0, id="watch"),
    ],
)
def test_where_nobody_reads_the_output_the_exit_status_still_tells(
    tmp_path: Path, command: str, status: int
) -> None:
    (tmp_path / "here.py").write_text("PAGES = {}\ndef page(number):\n    PAGES[number] = 1\n")
    (tmp_path / "none.json").write_text('{"candidates": []}')
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "leaklab", *command.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.returncode == status, done.stderr
    assert (b"leaklab: " in done.stderr) == (status == 2)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "latin-1"}, ASCII])
def test_what_an_encoding_has_not_is_replaced(variables: dict[str, str]) -> None:
    for command in ("cases", "import --help"):
        done = ran(f"leaklab {command}", **variables)
        assert done.stderr == b""
        assert done.returncode == 0
        assert b"?" in done.stdout


def test_bytes_of_a_name_are_written_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    monkeypatch.setattr(sys, "__stdout__", None)
    output.take_over()
    print("a\udce9…b")
    output.flush()

    assert isinstance(sys.stdout, Output)
    assert written.getvalue() == b"a\xe9?b\n"


def test_an_error_nobody_took_notice_of_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Output(io.BytesIO(), "utf-8")
    stream.failed = OutputError("cannot write the output: it is gone")
    monkeypatch.setattr(sys, "stdout", stream)

    with pytest.raises(OutputError, match="it is gone"):
        output.flush()
