"""`leaklab record` and `investigate` as a user meets them: targets that fail, hang or shout."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leaklab.cli import main
from leaklab.store import RunData, open_run
from leaklab.verdict.judge import judge

LEAKING = """
from leaklab import gauge, mark
CACHE = {}
def remember(number):
    CACHE[number] = "x" * 20_000 + str(number)
for number in range(120):
    remember(number)
    gauge("entries", len(CACHE))
    mark()
"""


# Said of a recording that takes long, as any does on a busy machine.
PROGRESS = re.compile(r"^leaklab: (measure|explain|graph) pass, .*\n", re.MULTILINE)


def leaklab(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; what it says of its progress is left out."""
    done = subprocess.run(
        [sys.executable, "-m", "leaklab", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    done.stderr = PROGRESS.sub("", done.stderr)
    return done


def record(folder: Path, source: str, *options: str) -> tuple[int, str, RunData]:
    """Record ``source`` without the tracer; returns exit status, the message, the run."""
    (folder / "target.py").write_text(source)
    done = leaklab(
        folder, "record", "--store", "runs", "--passes", "measure", *options, "--", "target.py"
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr, open_run(done.stdout.strip())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit(7)", "exit status 7"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ("import os; os._exit(3)", "exit status 3"),
        ("raise SystemExit('bad \\x1b[2J end')", r"its last words: bad \x1b[2J end (--echo "),
        ("raise SystemExit('\\x1b[1;35mNo\\x1b[0m: x')", "its last words: No: x (--echo "),
        ("print('1 failed'); raise SystemExit(1)", "exit status 1; on stdout: 1 failed"),
    ],
)
def test_a_target_that_fails_is_a_run_and_status_1(
    tmp_path: Path, source: str, message: str
) -> None:
    status, error, run = record(tmp_path, source)
    assert status == 1
    assert error.count("\n") == 1 and message in error
    assert run.meta["state"] == "complete"
    assert run.meta["passes"][0]["exit_status"] or run.meta["passes"][0]["signal"]


def test_a_target_that_never_ends_is_stopped_in_time(tmp_path: Path) -> None:
    status, error, run = record(tmp_path, "while True: pass", "--duration", "500ms")
    assert (status, error) == (0, "")
    assert run.meta["passes"][0]["stopped_by"] == "duration"
    assert run.meta["passes"][0]["duration_seconds"] < 10


@pytest.mark.parametrize(
    ("passes", "status", "said"),
    [
        ("measure,explain", 0, ["explain pass skipped: no Python process was seen"]),
        ("explain", 0, ["heap not traced: no Python process was seen"]),
        ("graph", 1, ["no object graphs: no Python process was seen"]),
        ("measure", 0, []),
    ],
)
def test_a_target_without_python_is_said_when_it_is_recorded(
    tmp_path: Path, passes: str, status: int, said: list[str]
) -> None:
    command = ("record", "--store", "runs", "--passes", passes, "--", "sleep", "0.3")
    done = leaklab(tmp_path, *command)
    assert done.returncode == status
    lines = done.stderr.splitlines()
    assert len(lines) == len(said)
    assert all(line.startswith(f"leaklab: {text}") for line, text in zip(lines, said, strict=True))


@pytest.mark.skipif(hasattr(sys, "remote_exec"), reason="attaching needs no debugger here")
@pytest.mark.parametrize(
    ("passes", "status", "what"),
    [("graph", 1, "no object graphs"), ("measure,explain", 0, "heap not traced")],
)
def test_what_cannot_be_attached_to_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passes: str, status: int, what: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no debugger
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(words) as process:
        try:
            how = ("--pid", str(process.pid), "--passes", passes, "--duration", "2s")
            done = leaklab(tmp_path, "record", "--store", "runs", *how)
            assert process.poll() is None
        finally:
            process.kill()
    assert done.returncode == status
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"leaklab: {what}: cannot attach: no debugger to attach with: ")
    assert first.endswith("series alone are recorded, leaklab doctor says how to attach")
    assert len(rest) == status
    data = open_run(done.stdout.strip())
    assert ("heap not traced" in str(data.meta)) == (what == "heap not traced")


def test_output_and_input_of_the_target(tmp_path: Path) -> None:
    shouting = "import sys\nfor _ in range(50_000): print('x' * 99)\nprint(repr(sys.stdin.read()))"
    status, error, run = record(tmp_path, shouting)
    assert (status, error) == (0, "")  # nothing of it among our own messages
    assert run.meta["passes"][0]["stdout_tail"].endswith("''\n")
    assert len(run.meta["passes"][0]["stdout_tail"]) < 100_000


def test_unwritable_store_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "target.py").write_text("open('started', 'w')")
    done = leaklab(tmp_path, "record", "--store", "file/runs", "--", "target.py")
    assert done.returncode == 1
    assert done.stderr.startswith("leaklab: cannot write to the store")
    assert not (tmp_path / "started").exists()


def test_interrupted_run_is_closed_and_printed(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text(
        "from leaklab import mark\n"
        "for number in range(10 ** 9):\n"
        "    mark()\n"
        "    if number == 20: open('ready', 'w').close()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "leaklab", "record", "--store", "runs", "--", "target.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(600):
            if (tmp_path / "ready").exists():
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in err
    assert "leaklab: interrupted; the run holds what was measured until then\n" in err
    run = open_run(out.strip())
    assert run.meta["state"] == "interrupted"
    assert process.returncode == 0  # Ctrl-C is how the recording of a server ends
    assert len(run.samples)


def test_from_script_to_verdict_line_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "serve.py").write_text(LEAKING)
    options = ("--fail-on", "leak", "--confidential")
    done = leaklab(tmp_path, "investigate", *options, "--", "serve.py")
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("serve: leak\n")
    assert "1. remember  serve.py:5" in done.stdout
    assert "CACHE" in done.stdout  # what keeps it
    page = Path(done.stdout.strip().splitlines()[-1].removeprefix("report: "))
    assert page.stat().st_size < 2_000_000
    assert "remember" in page.read_text()

    # From here on in this process, which has imported what each of them would.
    monkeypatch.chdir(tmp_path)
    main(["investigate", *options, "--", "serve.py"])
    assert "--fresh makes a new one" in capsys.readouterr().err
    assert len(list((tmp_path / "data" / "runs").glob("serve/*/*"))) == 1
    (tmp_path / "serve.py").write_text(LEAKING.replace("number] =", "number % 10] ="))
    assert main(["record", "--variant", "after", "--", "serve.py"]) == 0
    after = capsys.readouterr().out.strip()

    assert main(["compare", "serve/default", after, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["outcome"] == "fixed", document["reason"]
    assert main(["compare", after, "serve/default", "--fail-on", "leak"]) == 3

    capsys.readouterr()
    assert main(["show", "serve/default", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["suspects"][0]["function"] == "remember"
    assert any("CACHE" in path for path in shown["suspects"][0]["retained_by"])


SERVING = """
import time
from leaklab import mark
KEPT = []
LATEST = [b""] * 20
def keep(number):
    if {leaks}:
        KEPT.append(bytes(30_000 + number))
def serve(number):
    LATEST[number % 20] = bytes(50_000 + number)
# The tracer begins before the first mark, in a thread that is not the main one.
time.sleep(1)
for number in range(120):
    keep(number)
    serve(number)
    time.sleep(0.01)
    mark()
import threading
assert threading.current_thread() is threading.main_thread()
"""


@pytest.mark.parametrize("leaks", [True, False])
def test_a_heap_that_is_traced_now_and_then_is_judged(tmp_path: Path, leaks: bool) -> None:
    (tmp_path / "target.py").write_text(SERVING.format(leaks=leaks))
    options = ("--store", "runs", "--passes", "explain", "--graphs", "never")
    done = leaklab(tmp_path, "record", *options, "--trace-share", "60%", "--", "target.py")
    assert (done.returncode, done.stderr) == (0, "")
    run = open_run(done.stdout.strip())
    (entry,) = [process for process in run.meta["processes"] if process["role"] == "main"]
    assert entry["sampling"]["share"] == 0.6
    assert entry["sampling"]["windows"]
    verdict = judge(run)
    assert (verdict.verdict == "leak") == leaks, verdict.reason
    if leaks:
        assert "keep" in list(verdict.suspects["function"][:3])
        assert str(verdict.suspects["note"].iloc[0]).startswith("sampled")
