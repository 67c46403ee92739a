"""objgraph's picture of what refers to an object, drawn by graphviz where that is installed."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from typing import Any

from leaklab.errors import LeaklabError

_DEPTH, _MOST_REFERRERS = 4, 8
_LIMIT_SECONDS = 60


def objgraph_dot(one: Any) -> str:
    """Return the graph of referrers in graphviz's language, without the frames that ask for it."""
    import objgraph

    ignored, frame = set(), sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("leaklab."):
        ignored |= {id(frame), id(frame.f_locals)}
        frame = frame.f_back  # type: ignore[assignment]
    text = io.StringIO()
    objgraph.show_backrefs(
        [one],
        max_depth=_DEPTH,
        too_many=_MOST_REFERRERS,
        extra_ignore=tuple(ignored),
        output=text,
        shortnames=False,
    )
    return text.getvalue()


def objgraph_svg(one: Any) -> str:
    """Return objgraph's picture as SVG. Raises LeaklabError where graphviz is not installed."""
    dot = shutil.which("dot")
    if dot is None:
        raise LeaklabError("no graphviz: dot is not on the path; install it, or use picture='own'")
    done = subprocess.run(
        [dot, "-Tsvg"],
        input=objgraph_dot(one),
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
    )
    if done.returncode:
        raise LeaklabError(f"dot failed: {done.stderr.strip()[:200]}; use picture='own'")
    return done.stdout[done.stdout.index("<svg") :]
