"""From a file to a verdict by the command line: streams, options, exit status, size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import leaklab as ll
from leaklab.cli import main

EVIDENCE = Path(__file__).parents[1] / "evidence"
TARGET = """
import time
kept = []
def keep():
    kept.append(bytearray(300_000))
begun = time.monotonic()
for _ in range(50):
    keep()
    time.sleep(0.02)
print(time.monotonic() - begun)
"""


def leaklab(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "leaklab", *arguments]
    environment = {**os.environ, "LEAKLAB_STORE": str(folder / "store")}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment
    )


def test_the_folder_goes_to_stdout_and_what_was_understood_to_stderr(tmp_path: Path) -> None:
    done = leaklab(
        tmp_path, "import", str(EVIDENCE / "mprof_calls.dat"), str(EVIDENCE / "issue_table.csv"),
        "--variant", "before", "--limit", "1GiB",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folders = done.stdout.split()
    assert len(folders) == 2
    assert done.stderr.count("\n") == 2
    assert "rss_mb in MiB as rss_bytes" in done.stderr
    run = ll.open(folders[0])
    assert run.label == "mprof_calls/before"
    assert run.meta["limits"] == {"memory_bytes": 1 << 30}
    shown = leaklab(tmp_path, "show", "mprof_calls")
    assert "leak" in shown.stdout
    assert "reaches 1 GiB" in shown.stdout
    assert "next: leaklab record --pid PID" in shown.stdout


def test_a_file_is_a_gate(tmp_path: Path) -> None:
    path = str(EVIDENCE / "mprof_calls.dat")
    done = leaklab(tmp_path, "import", path, "--json", "--fail-on", "leak")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1
    assert document["verdict"] == "leak"
    assert document["resources"][0]["name"] == "rss_bytes"


def test_two_files_are_compared_without_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAKLAB_STORE", str(tmp_path / "store"))
    for name, step in (("before", 2.0), ("after", 0.0)):
        rows = [f"{60 * n},{100 + step * n}" for n in range(60)]
        Path(f"{name}.csv").write_text("\n".join(["time,rss_mb", *rows]))
    assert main(["compare", "before.csv", "after.csv"]) == 0
    assert capsys.readouterr().out.startswith("fixed")
    assert main(["show", "before.csv", "--fail-on", "leak"]) == 3
    assert main(["show", "before.csv", "--value", "rss_mb=gauge:x", "--unit", "KB"]) == 0
    assert "gauge:x" in capsys.readouterr().out
    assert not (tmp_path / "store").exists()
    assert main(["import", "before.csv", "--name", "svc", "--variant", "before"]) == 0
    folder = capsys.readouterr().out.strip()
    assert main(["compare", folder, "after.csv"]) == 0
    assert capsys.readouterr().out.startswith("fixed")


def test_pages_and_captures_of_the_memray_here(tmp_path: Path) -> None:
    (tmp_path / "target.py").write_text(TARGET)
    memray = [sys.executable, "-m", "memray"]
    ran, _ = (
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
        for command in (
            [*memray, "run", "-q", "--no-compress", "-o", "capture.bin", "target.py"],
            [*memray, "flamegraph", "--temporal", "-o", "page.html", "capture.bin"],
        )
    )
    capture, page = (ll.read(tmp_path / name) for name in ("capture.bin", "page.html"))
    for run in (capture, page):
        assert run.verdict().verdict == "leak"
        assert run.suspects().iloc[0]["function"] == "keep"
        rss = run.verdict().resource("rss_bytes")
        assert rss is not None
        assert rss.rate == pytest.approx(50 * 300_000 / float(ran.stdout), rel=0.1)
    limited = leaklab(tmp_path, "show", "capture.bin", "--limit", "1G")
    assert "reaches 1 GiB (--limit) after" in limited.stdout
    assert "run in-memory (complete)" in limited.stdout
    stored = [leaklab(tmp_path, "import", "capture.bin").stdout for _ in range(2)]
    assert stored[0] == stored[1]
    whole = (tmp_path / "capture.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(whole[: len(whole) * 6 // 10])
    done = leaklab(tmp_path, "show", "cut.bin")
    assert "the file is cut off" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_year_at_one_a_minute_is_quick(tmp_path: Path) -> None:
    count = 600_000
    seconds = 1.7e9 + 60 * np.arange(count)
    values = 300 + 0.0005 * np.arange(count) + np.random.default_rng(0).normal(0, 3, count)
    rows = (f"{t:.0f},{v:.2f}" for t, v in zip(seconds, values, strict=True))
    (tmp_path / "year.csv").write_text("\n".join(["timestamp,rss_mb", *rows]))
    begun = time.process_time()
    before = os.times().children_user
    done = leaklab(tmp_path, "show", "year.csv")
    assert "leak" in done.stdout.splitlines()[0]
    # The processor's time, as others may run here; 3 s on the machine this was made on.
    assert os.times().children_user - before + time.process_time() - begun < 6


def figures(folder: Path, name: str, step: float) -> str:
    rows = [f"{60 * n},{100 + step * n}" for n in range(60)]
    (folder / name).write_text("\n".join(["time,rss_mb", *rows]))
    return name


def test_a_bad_file_among_good_ones_is_named_and_the_others_are_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.txt").write_text("hello\nworld\n")
    good = [figures(tmp_path, name, 1.0) for name in ("a.csv", "b.csv")]
    files = [good[0], "bad.txt", "missing.csv", good[1]]
    assert main(["import", *files, "--store", "S"]) == 2
    done = capsys.readouterr()
    assert [Path(line).parts[-3] for line in done.out.split()] == ["a", "b"]
    last = done.err.splitlines()[-2:]
    assert "not a format that is known: bad.txt" in last[0]
    assert "no such file: missing.csv" in last[1]


def test_a_file_that_was_imported_has_its_run_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def imported(*options: str) -> tuple[str, str]:
        assert main(["import", "a.csv", "--store", "S", *options]) == 0
        done = capsys.readouterr()
        return done.out.strip(), done.err

    figures(tmp_path, "a.csv", 1.0)
    first, _ = imported()
    again, said = imported()
    assert again == first
    assert "a.csv: imported already" in said
    assert imported("--limit", "1G")[0] != first
    figures(tmp_path, "a.csv", 2.0)
    assert imported()[0] != first


def test_imported_runs_are_compared_as_their_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEAKLAB_STORE", str(tmp_path / "store"))
    names = [figures(tmp_path, f"{name}.csv", step) for name, step in (("leak", 2.0), ("ok", 0.0))]
    assert main(["import", *names]) == 0
    capsys.readouterr()
    assert main(["compare", "leak", "ok"]) == 0
    assert capsys.readouterr().out.startswith("fixed")


def test_a_name_behind_two_dashes_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before, after = (figures(tmp_path, f"-{name}.csv", step) for name, step in (("a", 2), ("b", 0)))
    assert main(["show", "--", before]) == 0
    assert "leak" in capsys.readouterr().out.splitlines()[0]
    assert main(["compare", "--", before, after]) == 0
    assert capsys.readouterr().out.startswith("fixed")
    assert main(["import", "--store", "S", "--", before, after]) == 0
    assert len(capsys.readouterr().out.split()) == 2
