"""Lines of progress where stderr is no terminal: few, and none for a short recording."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from leaklab.cli.progress import LineProgress, ReadProgress
from leaklab.recordings import open_or_read


def lines(seconds: int, *events: dict[str, object]) -> list[str]:
    """What is written when four events a second say what ``events``, one a pass, say."""
    now = [0.0]
    stream = io.StringIO()
    progress = LineProgress(stream, lambda: now[0])
    for event in events:
        for count in range(seconds * 4):
            now[0] += 0.25
            progress({"kind": "figures", "time_seconds": count / 4, "mark": count, **event})
    return stream.getvalue().splitlines()


def test_a_short_recording_is_quiet() -> None:
    assert lines(2, {"pass": "measure"}, {"pass": "explain"}) == []


def test_a_line_says_what_goes_on_and_nothing_of_what_may_not_come() -> None:
    first, second, third = lines(
        6, {"pass": "measure", "next_pass": "explain"}, {"pass": "explain", "next_pass": ""}
    )[:3]
    assert first == "leaklab: measure pass, which measures its series, 5 s, 19 marks"
    assert second == "leaklab: explain pass, which traces its heap, 0 s, the last pass"
    assert third == "leaklab: explain pass, 5 s, 20 marks, the last pass"


def test_a_line_says_what_is_done_when_the_target_has_ended() -> None:
    note = {"kind": "note", "text": "reading object graph 1 of 2"}
    (*_, last) = lines(6, {"pass": "explain", "next_pass": "", **note})
    assert last == "leaklab: explain pass, which traces its heap, 5 s, 19 marks, " + note["text"]


def test_a_warning_is_shown_at_once() -> None:
    stream = io.StringIO()
    LineProgress(stream)({"kind": "warning", "pass": "measure", "text": "no marks: \x1b[2J"})
    assert stream.getvalue().startswith("leaklab: no marks: ")
    assert "\x1b" not in stream.getvalue()


def test_a_long_recording_is_not_flooded() -> None:
    assert 20 <= len(lines(3600, {"pass": "measure"})) <= 60


def test_control_characters_of_a_target_stay_out() -> None:
    assert all("\x1b" not in line for line in lines(20, {"pass": "measure", "text": "\x1b[2J"}))


def test_a_reader_that_has_gone_is_no_error() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    now = [10.0]
    progress = LineProgress(Gone(), lambda: now[0])
    now[0] = 20.0
    progress({"pass": "measure"})
    now[0] = 1000.0
    progress({"pass": "measure"})


def test_a_file_that_takes_long_is_told_of_on_a_terminal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "figures.csv"
    rows = [f"{1764547200 + 60 * number},{209715200 + number}" for number in range(100_000)]
    path.write_text("\n".join(["time,rss_bytes", *rows]) + "\n")
    monkeypatch.setenv("TERM", "xterm")
    seconds = iter(range(1000))
    for is_terminal in (False, True):
        stream = io.StringIO()
        stream.isatty = lambda is_terminal=is_terminal: is_terminal  # type: ignore[method-assign]
        monkeypatch.setattr(sys, "stderr", stream)
        with ReadProgress(lambda: float(next(seconds))) as progress:
            open_or_read(str(path), progress=progress)
        assert ("reading figures.csv: 2 MiB of 2 MiB" in stream.getvalue()) == is_terminal
        assert "leaklab: figures.csv: CSV, 100,000 rows by time" in stream.getvalue()


def test_what_is_read_at_once_is_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stream)
    with ReadProgress(lambda: 5.0) as progress:
        progress("figures.csv", 100, 200)
        progress("figures.csv", 200, 200)
    assert stream.getvalue() == ""
