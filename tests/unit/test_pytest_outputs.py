"""The files that a session is asked to write: where they go, and what if they cannot."""

from __future__ import annotations

import json

import pytest

KEEPS = """
import os
KEPT = []

def test_keeps(leak_check):
    leak_check(lambda: KEPT.append(os.dup(0)), units=20)

def test_stays(leak_check):
    leak_check(lambda: None, units=20)
"""


def test_a_folder_that_is_missing_is_made(alone: pytest.Pytester) -> None:
    alone.makepyfile(test_keeps=KEEPS)
    result = alone.runpytest_subprocess(
        "--leaks-sarif=a/b/leaks.sarif", "--leaks-known=c/leaks.toml", "--leaks-accept=mending"
    )
    result.assert_outcomes(passed=2)
    (log,) = json.loads((alone.path / "a" / "b" / "leaks.sarif").read_text())["runs"]
    assert [entry["level"] for entry in log["results"]] == ["note"]
    assert 'reason = "mending"' in (alone.path / "c" / "leaks.toml").read_text()
    result.stdout.fnmatch_lines(["1 added to *leaks.toml"])


@pytest.mark.parametrize(
    ("test", "status"),
    [("test_keeps", pytest.ExitCode.TESTS_FAILED), ("test_stays", pytest.ExitCode.USAGE_ERROR)],
)
def test_what_cannot_be_written_is_a_line_and_hides_no_failure(
    alone: pytest.Pytester, test: str, status: pytest.ExitCode
) -> None:
    alone.makepyfile(test_keeps=KEEPS)
    (alone.path / "file").touch()
    alone._monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(alone.path / "file" / "step.md"))
    result = alone.runpytest_subprocess("--leaks-sarif=file/leaks.sarif", "-k", test)
    assert result.ret == status
    lines = [
        "leaklab: --leaks-sarif: */file/leaks.sarif: cannot be written: *; name another",
        "leaklab: GITHUB_STEP_SUMMARY: */file/step.md: cannot be written: *; name another",
    ]
    told = ["leaklab: leak: 1 fd per call*"] if test == "test_keeps" else []
    result.stdout.fnmatch_lines([*told, *lines])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stderr.no_fnmatch_line("*Traceback*")


def test_known_leaks_that_cannot_be_written_are_not_said_to_be(alone: pytest.Pytester) -> None:
    alone.makepyfile(test_keeps=KEEPS)
    (alone.path / "broken").symlink_to("missing/leaks.toml")
    result = alone.runpytest_subprocess("--leaks-known=broken", "--leaks-accept=mending")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["leaklab: --leaks-known: */broken: cannot be written: *"])
    result.stdout.no_fnmatch_line("*added to*")


def test_what_cannot_be_recorded_is_told_in_a_line(alone: pytest.Pytester) -> None:
    alone.makepyfile("def test_one(): pass")
    # It is there, and no Python: only the recording finds out.
    no_python = alone.path / "python"
    no_python.write_text("no program")
    no_python.chmod(0o755)
    result = alone.runpytest_subprocess("--leaks", f"--leaks-python={no_python}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["leaklab: *python*"])
    result.stdout.no_fnmatch_line("*items.py*")
