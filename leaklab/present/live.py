"""A recording seen while it runs: a growing curve in a notebook, lines in a job's log.

The recorder calls the progress object a few times a second; what it draws here is small and made
by hand, because a plotting library would take longer than the recording waits.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from html import escape
from typing import Any

REDRAW_SECONDS = 0.4
LOG_SECONDS = 5.0
POINT_LIMIT = 300
_WIDTH, _HEIGHT = 420, 70


@contextmanager
def notebook_progress(label: str) -> Iterator[Any]:
    """The progress callback for a recording started here; None outside a Jupyter kernel.

    In a job ($LEAKLAB_PROGRESS is "lines") it rewrites one line of stdout, else it shows a curve of
    the resident set size that ends as one line saying what was recorded.
    """
    shown: Lines | Curve | None = None
    if os.environ.get("LEAKLAB_PROGRESS") == "lines":
        shown = Lines(label)
    elif in_kernel():
        shown = Curve(label)
    if shown is None:
        yield None
        return
    try:
        yield shown
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        shown.close("interrupted" if interrupted else "failed")
        raise
    shown.close("recorded")


def cell_display(label: str) -> Callable[[str, str], None] | None:
    """Return what shows text and figure of a recording that is drawn elsewhere; None for nothing.

    In a job the text alone, every few seconds.
    """
    if os.environ.get("LEAKLAB_PROGRESS") == "lines":
        written = 0.0

        def write(text: str, figure: str) -> None:
            nonlocal written
            if time.monotonic() - written >= LOG_SECONDS:
                written = time.monotonic()
                # As in `Lines`; a line each, because the cell itself may print in between.
                print(f"\r{text}", flush=True)

        return write
    return Curve(label).show if in_kernel() else None


def say_loaded(label: str, created: str) -> None:
    """Say in a notebook that a run was not recorded now; ``created``: ISO 8601, in UTC."""
    if not in_kernel():
        return
    when = datetime.fromisoformat(created.replace("Z", "+00:00")).astimezone() if created else None
    today = datetime.now().astimezone().date()
    said = ""
    if when is not None:
        said = f", recorded {when:%H:%M} " + (
            "today" if when.date() == today else f"{when:%Y-%m-%d}"
        )
    print(f"{label}: loaded{said}; fresh=True records again", flush=True)


def in_kernel() -> bool:
    """Say whether a Jupyter kernel runs this, and shows what is displayed."""
    if "ipykernel" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class Lines:
    """One line, rewritten when a pass starts and every few seconds.

    A carriage return goes before each state: a notebook shows the last one, a job's log all.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.started = time.monotonic()
        self.pass_name = ""
        self.written = 0.0
        self.width = 0

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take the recorder's figures."""
        now, pass_name = time.monotonic(), str(event["pass"])
        if pass_name == self.pass_name and now - self.written < LOG_SECONDS:
            return
        self.pass_name, self.written = pass_name, now
        self._write(summary(event))

    def close(self, outcome: str) -> None:
        """Say how it ended."""
        self._write(f"{outcome} after {time.monotonic() - self.started:.1f} s", end="\n")

    def _write(self, text: str, end: str = "") -> None:
        line = f"{self.label}: {text}"
        # What is shorter than the line before would leave its end standing.
        print(f"\r{line:<{self.width}}", end=end, flush=True)
        self.width = len(line)


class Curve:
    """The resident set size as a curve that grows in the cell's output."""

    redraw_seconds = REDRAW_SECONDS

    def __init__(self, label: str) -> None:
        self.label = label
        self.started = time.monotonic()
        self.drawn = 0.0
        self.points: dict[str, list[tuple[float, float]]] = {}
        self.text = "starting"
        self.handle: Any = None

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take the recorder's figures and draw, not too often."""
        rss_bytes, seconds = event.get("rss_bytes"), event.get("time_seconds")
        if rss_bytes is not None and seconds is not None:
            points = self.points.setdefault(str(event["pass"]), [])
            points.append((float(seconds), float(rss_bytes)))
            if len(points) > POINT_LIMIT:  # half as dense: the curve stays whole
                del points[1:-1:2]
        self.text = self.summary(event)
        now = time.monotonic()
        if now - self.drawn >= self.redraw_seconds:
            self.drawn = now
            self.show(f"{self.label}: {self.text}", curve(self.points))

    def summary(self, event: Mapping[str, Any]) -> str:
        """How far the recording is."""
        return summary(event)

    def close(self, outcome: str) -> None:
        """Leave one line: the run's own figures say the rest."""
        seconds = time.monotonic() - self.started
        self.show(f"{self.label}: {outcome} in {seconds:.1f} s ({self.text})", "")

    def show(self, text: str, figure: str) -> None:
        """Put text and figure into the cell's output, in place of those before."""
        from IPython.display import display

        data = {"text/plain": text, "text/html": f"<div>{escape(text)}</div>{figure}"}
        if self.handle is None:
            self.handle = display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)


def summary(event: Mapping[str, Any]) -> str:
    """How far a recording is, in words: ``explain pass, 3.1 s, 120 marks, 45.2 MB resident``.

    Where it is known how many marks there will be: ``iteration 120 of 400``.
    """
    from leaklab.present.formatting import amount

    parts = [f"{event['pass']} pass"]
    if event.get("time_seconds") is not None:
        parts.append(f"{event['time_seconds']:.1f} s")
    if event.get("mark"):
        parts.append(marks_told(event["mark"], event.get("expected_mark_count")))
    if event.get("rss_bytes") is not None:
        parts.append(f"{amount('rss_bytes', event['rss_bytes'])} resident")
    return ", ".join(parts)


def marks_told(count: int, expected_count: int | None) -> str:
    """How many marks there were, and of how many where that is known.

    >>> marks_told(1200, None), marks_told(12, 40)
    ('1,200 marks', 'iteration 12 of 40')
    """
    known = expected_count is not None and count <= expected_count
    return f"iteration {count:,} of {expected_count:,}" if known else f"{count:,} marks"


def curve(points: dict[str, list[tuple[float, float]]]) -> str:
    """The passes' curves as one inline SVG; "" while there are not two points."""
    shown = {name: line for name, line in points.items() if len(line) > 1}
    if not shown:
        return ""
    xs = [x for line in shown.values() for x, _ in line]
    ys = [y for line in shown.values() for _, y in line]
    left, width = min(xs), max(max(xs) - min(xs), 1e-9)
    low, height = min(ys), max(max(ys) - min(ys), 1.0)
    colours = ("#d55e00", "#0072b2", "#009e73")
    lines = "".join(
        '<polyline fill="none" stroke-width="1.6" '
        f'stroke="{colours[index % len(colours)]}" points="'
        + " ".join(
            f"{(x - left) / width * _WIDTH:.1f},{_HEIGHT - (y - low) / height * (_HEIGHT - 4):.1f}"
            for x, y in line
        )
        + f'"><title>{escape(name)} pass</title></polyline>'
        for index, (name, line) in enumerate(shown.items())
    )
    return (
        f'<svg role="img" aria-label="resident set size while recording" width="{_WIDTH}" '
        f'height="{_HEIGHT + 2}" viewBox="0 -1 {_WIDTH} {_HEIGHT + 2}">{lines}</svg>'
    )
