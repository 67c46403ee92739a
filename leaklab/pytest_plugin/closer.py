"""A few more units of what leaks: which lines allocate what stays, and what holds it."""

from __future__ import annotations

import ast
import tokenize
import tracemalloc
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from leaklab.errors import LeaklabError
from leaklab.pytest_plugin.counting import tidy
from leaklab.pytest_plugin.inside.leaklab_origins import Origins, made_rows
from leaklab.pytest_plugin.inside.leaklab_stacks import PACKAGE, blamed
from leaklab.pytest_plugin.outcome import Outcome, Site
from leaklab.pytest_plugin.texts import made_text

if TYPE_CHECKING:
    import pandas as pd

TRACED_FRAMES = 16
MOST_SITES = 5
MOST_PATHS = 4000


class CloseLook:
    """Looks at ``units`` units that are run between ``with`` and its end."""

    def __init__(self, units: int, outcome: Outcome) -> None:
        self._units = units
        self._outcome = outcome
        # Object graphs and traced stacks tell about memory only, and cost seconds.
        self._heap = any(entry.resource.endswith("_bytes") for entry in outcome.grown)
        self._origins = Origins()
        self._sites: list[Site] = []
        self._holders: list[str] = []
        self._made: list[str] = []

    def __enter__(self) -> Self:
        tidy()
        self._paths: pd.DataFrame | None = _paths() if self._heap else None
        self._origins.install()
        self._before = self._origins.census()
        self._traces = self._heap and not tracemalloc.is_tracing()
        if self._traces:
            tracemalloc.start(TRACED_FRAMES)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._traces:
            tidy()
            snapshot = tracemalloc.take_snapshot()
            tracemalloc.stop()
            self._sites = _sites(snapshot, self._units)
            # Or the second look at the heap would find nothing else.
            del snapshot
        now = self._origins.census()
        self._origins.remove()
        left = [one for key, one in now.items() if key not in self._before]
        self._made = [made_text(row) for row in made_rows(left, self._units)]
        del now, left
        self._before, self._origins = {}, Origins()
        if error is None and self._heap:
            self._holders = _growing(self._paths, _paths(), self._units)
        self._paths = None

    def completed(self) -> Outcome:
        """Return the outcome with the lines, holders and makers that were seen."""
        return replace(
            self._outcome,
            sites=tuple(self._sites),
            holders=tuple(self._holders),
            made=tuple(self._made),
        )


def _sites(snapshot: tracemalloc.Snapshot, units: int) -> list[Site]:
    """The lines behind what is alive of what these units allocated, most first."""
    sizes: dict[tuple[str, int, str], int] = {}
    for trace in snapshot.traces:
        stack = [(frame.filename, frame.lineno, "") for frame in reversed(trace.traceback)]
        place = blamed(stack)
        # Notes of origins are ours, and what the plugin gathers around a call.
        if place is not None and not stack[0][0].startswith(PACKAGE):
            sizes[place] = sizes.get(place, 0) + trace.size
    ranked = sorted(sizes.items(), key=lambda entry: -entry[1])[:MOST_SITES]
    total = sum(sizes.values())
    return [
        Site(file, line, function_at(file, line), size / units)
        for (file, line, _), size in ranked
        if size >= total / 10
    ]


def function_at(file: str, line: int) -> str:
    """Return the name of the function that a line belongs to, "<module>" outside of all."""
    try:
        with tokenize.open(file) as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""
    inside = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(inside, key=lambda node: node.lineno).name if inside else "<module>"


def _paths() -> pd.DataFrame | None:
    """A row per path of this process's objects; None where it cannot be copied."""
    from leaklab.holders import dump_of_this_process
    from leaklab.object_graph.graph import ObjectGraph
    from leaklab.object_graph.paths import path_table, path_tree

    try:
        tree = path_tree(ObjectGraph(dump_of_this_process()))
    except LeaklabError:
        return None
    # Without dominators, which cost most: what hangs below a path stands for what it retains.
    below = tree.shallow_bytes.tolist()
    parents = tree.parent.tolist()
    for node in reversed(range(len(parents))):
        if parents[node] >= 0:
            below[parents[node]] += below[node]
    return path_table(tree, np.array(below), MOST_PATHS)[
        ["fingerprint", "path", "count", "retained_bytes"]
    ]


def _growing(before: pd.DataFrame | None, after: pd.DataFrame | None, units: int) -> list[str]:
    """The paths at which an object or more is added in each unit, most bytes first."""
    if before is None or after is None:
        return []
    both = after.merge(
        before[["fingerprint", "count", "retained_bytes"]],
        on="fingerprint",
        how="left",
        suffixes=("", "_before"),
    ).fillna({"count_before": 0, "retained_bytes_before": 0})
    both["gain"] = both["retained_bytes"] - both["retained_bytes_before"]
    added = both["count"] - both["count_before"]
    grows = both[(added >= units / 2) & (both["gain"] > 0) & ~both["path"].str.contains("leaklab")]
    grows = grows.sort_values(["gain", "path"], ascending=[False, True], kind="stable")
    grows = grows[grows["gain"] >= grows["gain"].max() / 10]
    kept: list[str] = []
    for path in grows["path"]:
        # What hangs below a path that grows is told by it.
        if not any(path.startswith(above) or above.startswith(path) for above in kept):
            kept.append(str(path))
    return kept[:3]
