"""Growth of one resource in several runs, each with its fitted rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.series import resource_series
from leaklab.errors import UsageError
from leaklab.plots import style
from leaklab.present import units
from leaklab.present.formatting import interval_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from leaklab.plots.protocol import RunLike

# Beyond this a legend is longer than the figure it explains.
_LABEL_LIMIT = 46
# Of the axis; the word does not fit into less.
_NARROW_SHARE = 0.12
# What the word takes of the height.
_LABEL_SHARE = 0.06


def growth(
    runs: RunLike | Iterable[RunLike],
    resource: str = "rss_bytes",
    ax: Axes | None = None,
    role: str = "main",
) -> Axes:
    """Draw one resource of one or several runs (before and after) over the iterations.

    Each run is a line with its rate after warm-up: the fitted line, and as a band the rates its
    interval allows. The warm-up is shaded. Runs without marks are drawn over seconds; where runs
    differ in that, all are. A run that did not measure the resource is named in the legend.
    ``role``: whose figures, where the run has several kinds of processes.
    """
    shown = as_runs(runs)
    ax = ax or style.axes()
    style.dress(ax)
    frames = [resource_series(run.data, resource, role=role) for run in shown]
    if not any(len(frame) for frame in frames):
        return style.nothing(ax, f"{style.printable(units.title(resource, role))}: not measured")
    unit = common_unit(frames)
    baselines = [
        _draw_run(ax, run, frame, resource, unit, index)
        for index, (run, frame) in enumerate(zip(shown, frames, strict=True))
    ]
    # What is warm-up in every run; where a run's own ends, its fitted line begins.
    _shade_warm_up(ax, min(filter(math.isfinite, baselines), default=-math.inf))
    units.label_axis(ax.yaxis, resource)
    units.calm_limits(ax)
    ax.set_xlabel(axis_label(unit))
    ax.set_ylabel(style.printable(units.title(resource, role), 50))
    ax.margins(x=0.01)
    style.legend(ax)
    return ax


def as_runs(runs: RunLike | Iterable[RunLike]) -> Sequence[RunLike]:
    """One run, a list of runs or a dict of runs by variant, as a list."""
    given: Any = runs
    if hasattr(given, "data"):
        return [given]
    if isinstance(given, str):
        raise UsageError(f"a name, no run: {given}; open it first: ll.open({given!r})")
    return list(given.values() if isinstance(given, Mapping) else given)


def name_of(run: RunLike) -> str:
    """What a run is called beside others: its variant, else its name."""
    return str(run.meta.get("variant") or run.meta.get("name") or "run")


def common_unit(frames: Sequence[pd.DataFrame]) -> str:
    """The unit all non-empty series share: "iteration", else "second"."""
    found = {frame.attrs.get("unit", "second") for frame in frames if len(frame)}
    return "iteration" if found == {"iteration"} else "second"


def axis_label(unit: str) -> str:
    """The label of the horizontal axis."""
    return "iterations" if unit == "iteration" else "seconds"


def points(frame: pd.DataFrame, unit: str) -> tuple[Any, Any]:
    """The series' points on the axis of this unit, few enough to draw."""
    x = frame["x" if unit == "iteration" else "time_seconds"].to_numpy(np.float64)
    return style.thin(x, frame["value"].to_numpy(np.float64))


def _draw_run(
    ax: Axes, run: RunLike, frame: pd.DataFrame, resource: str, unit: str, index: int
) -> float:
    """Draw one run; return where its warm-up ends (-inf where nothing says)."""
    colour = style.series_colour(index)
    label = style.printable(name_of(run), _LABEL_LIMIT)
    if not len(frame):
        ax.plot([], [], color=colour, label=f"{label}: not measured")
        return -math.inf
    x, y = points(frame, unit)
    found = run.verdict().resource(resource, frame.attrs["role"])
    fitted = found if found is not None and found.unit == unit else None
    if fitted is not None:
        rate = units.rate_text(resource, fitted.rate, unit)
        label = f"{label}: {fitted.verdict}, {rate}{_interval(resource, fitted)}"
    ax.plot(x, y, label=label, **style.line(index, len(x)))
    if fitted is None:
        return -math.inf
    _draw_rate(ax, frame, fitted, colour)
    return -math.inf if fitted.baseline_x is None else float(fitted.baseline_x)


def _known(value: float | None) -> bool:
    """Whether a rate or one end of its interval could be estimated."""
    return value is not None and math.isfinite(value)


def _shade_warm_up(ax: Axes, baseline: float) -> None:
    left = float(ax.dataLim.x0)
    if not math.isfinite(baseline) or baseline <= left:
        return
    ax.axvspan(left, baseline, color=style.INK, alpha=0.12, linewidth=0, gid="warm-up")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + _LABEL_SHARE * (high - low))  # the word stands above the curves
    narrow = baseline - left < _NARROW_SHARE * (float(ax.dataLim.x1) - left)
    ax.text(
        baseline,
        0.98,
        " warm-up" if narrow else "warm-up ",
        ha="left" if narrow else "right",
        va="top",
        color=style.INK,
        fontsize=style.FONT_SIZE - 1.5,
        transform=ax.get_xaxis_transform(),
        clip_on=True,
    )


def _interval(resource: str, fitted: Any) -> str:
    if not _known(fitted.rate_low) or not _known(fitted.rate_high):
        return ""
    text = interval_text(resource, fitted.rate_low, fitted.rate_high)
    return f" ({text})" if " to " in text else ""


def _draw_rate(ax: Axes, frame: pd.DataFrame, fitted: Any, colour: str) -> None:
    """The fitted line through the middle of the points after warm-up, and the band around it."""
    x, y = frame["x"].to_numpy(np.float64), frame["value"].to_numpy(np.float64)
    baseline = fitted.baseline_x
    if _known(baseline):
        x, y = x[x >= baseline], y[x >= baseline]
    if len(x) < 2 or not _known(fitted.rate):
        return
    ends = np.array([x[0], x[-1]])
    middle = float(np.median(x))
    level = float(np.median(y - fitted.rate * (x - middle)))
    ax.plot(
        ends,
        level + fitted.rate * (ends - middle),
        color=colour,
        linewidth=1,
        linestyle=(0, (4, 3)),
        gid="rate",
    )
    if _known(fitted.rate_low) and _known(fitted.rate_high):
        span = np.linspace(ends[0], ends[1], 50) - middle
        bounds = np.array([fitted.rate_low * span, fitted.rate_high * span]) + level
        ax.fill_between(
            span + middle,
            bounds.min(axis=0),
            bounds.max(axis=0),
            color=colour,
            alpha=0.18,
            linewidth=0,
            gid="band",
        )
