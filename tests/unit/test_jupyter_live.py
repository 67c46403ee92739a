"""What a recording shows while it runs: lines in a job's log, a curve in a notebook."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from leaklab.present import live


def event(seconds: float, rss_bytes: float | None, **more: Any) -> dict[str, Any]:
    return {
        "kind": "figures",
        "pass": "measure",
        "mark": None,
        "time_seconds": seconds,
        "rss_bytes": rss_bytes,
        "live_bytes": None,
        "text": "",
        **more,
    }


def test_outside_a_kernel_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEAKLAB_PROGRESS", raising=False)
    with live.notebook_progress("demo") as progress:
        assert progress is None


def test_a_job_logs_the_beginning_of_a_pass_and_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEAKLAB_PROGRESS", "lines")
    with live.notebook_progress("demo/before") as progress:
        for seconds in (0.0, 0.3, 0.6):
            progress(event(seconds, 2**20))
        progress(event(0.1, None, mark=12, **{"pass": "explain"}))
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.count("\n") == 1  # one line, in three states
    nothing, *states = said.out.split("\r")
    assert nothing == ""
    assert [state.rstrip() for state in states[:2]] == [
        "demo/before: measure pass, 0.0 s, 1 MiB resident",
        "demo/before: explain pass, 0.1 s, 12 marks",
    ]
    assert states[2].startswith("demo/before: recorded after ")
    assert len(states) == 3
    assert len(states[1]) >= len(states[0])  # nothing of the longer one is left standing


def test_marks_are_told_as_iterations_of_a_number_that_is_known() -> None:
    figures = event(0.1, None, mark=12)
    assert live.summary(figures) == "measure pass, 0.1 s, 12 marks"
    known = {**figures, "expected_mark_count": 40}
    assert live.summary(known) == "measure pass, 0.1 s, iteration 12 of 40"
    assert live.summary({**known, "mark": 41}) == "measure pass, 0.1 s, 41 marks"


def test_an_interrupt_is_said_and_passed_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEAKLAB_PROGRESS", "lines")
    with pytest.raises(KeyboardInterrupt), live.notebook_progress("demo"):
        raise KeyboardInterrupt
    assert capsys.readouterr().out.startswith("\rdemo: interrupted after ")


def test_the_curve_is_valid_svg_inside_its_frame() -> None:
    points = {"measure": [(0.0, 10.0), (1.0, 30.0), (2.0, 20.0)], "<b>": [(0.0, 5.0), (1.0, 5.0)]}
    svg = ElementTree.fromstring(live.curve(points))
    lines = svg.findall("polyline")
    assert len(lines) == 2
    for line in lines:
        for pair in line.attrib["points"].split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= float(svg.attrib["width"])
            assert 0 <= y <= float(svg.attrib["height"])
    assert live.curve({"measure": [(0.0, 1.0)]}) == ""


def test_a_long_recording_keeps_few_points_and_both_ends() -> None:
    shown = live.Curve("demo")
    shown.drawn = float("inf")  # nothing to draw on here
    for second in range(5000):
        shown(event(float(second), 1.0))
    points = shown.points["measure"]
    assert len(points) <= live.POINT_LIMIT
    assert (points[0][0], points[-1][0]) == (0.0, 4999.0)


def test_a_run_that_is_loaded_is_told_from_one_that_is_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    live.say_loaded("demo/before", "2020-01-02T03:04:05Z")
    assert capsys.readouterr().out == ""  # outside of a kernel nobody waits for a word
    monkeypatch.setattr(live, "in_kernel", lambda: True)
    live.say_loaded("demo/before", "2020-01-02T12:04:05Z")
    said = capsys.readouterr().out
    assert re.fullmatch(
        r"demo/before: loaded, recorded \d\d:04 2020-01-0[123]; fresh=True records again\n", said
    )
