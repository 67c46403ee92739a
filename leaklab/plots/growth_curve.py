"""Growth of one resource in several runs, each with its fitted rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.analysis.series import resource_series
from leaklab.arguments import as_run
from leaklab.plots import style
from leaklab.present import choices, units
from leaklab.present.formatting import interval_text
from leaklab.resources import check_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from leaklab.plots.protocol import RunLike
    from leaklab.verdict.judge import ResourceVerdict

# Beyond this a legend is longer than the figure it explains.
_LABEL_LIMIT = 46
# Of the axis; the word does not fit into less.
_NARROW_SHARE = 0.12
# What the word takes of the height.
_LABEL_SHARE = 0.06
# What is judged gets a panel of its own where it moves by less than this share of the whole run.
_FLAT_SHARE = 0.2
# Share of their range by which the fitted line may leave the figures it describes.
_LINE_ROOM = 0.1
_LEAST_POINTS = 10
_PANEL_STRETCH = 1.6
_HEADROOM = 0.06
# An axis that would begin below this share of its end begins at nought at no loss.
_WHOLE_SHARE = 0.5


def growth(
    runs: RunLike | Iterable[RunLike | None],
    resource: str | None = None,
    ax: Axes | None = None,
    role: str | None = None,
    title: str = "",
) -> Axes:
    """Draw one resource of one or several runs (before and after) over the iterations.

    Each run is a line with its rate after warm-up: dashed the fitted rate, and as a band the rates
    its interval allows. Warm-up, where there is one, is shaded. Where what is judged is flat beside
    start-up, a panel below shows it alone. Runs without marks are drawn over seconds; where runs
    differ in that, all are. A run that did not measure the resource is named in the legend.

    ``resource``: by default the one that says most about these runs. ``role``: whose figures, where
    the run has several kinds of processes. Returns the axes of the whole run; raises UsageError for
    a resource that there is not.

    >>> ll.plots.growth(runs, "fd_count", title="the pool")
    """
    shown = as_runs(runs)
    if resource is None:
        found = choices.headline([run.verdict().resources for run in shown])
        resource, its_role = found or ("rss_bytes", "main")
        role = role or its_role
    check_name(resource)
    ax = ax or style.axes()
    style.dress(ax)
    name = style.printable(units.title(resource, role or "main"), 50)
    if title:
        style.figure_of(ax).suptitle(style.printable(title, 90), **style.TITLE)
    drawn = [
        Drawn(run, resource_series(run.data, resource, role=role or "main"), resource, index)
        for index, run in enumerate(shown)
    ]
    if not any(len(one.frame) for one in drawn):
        return style.nothing(ax, f"{name}: not measured")
    unit = common_unit([one.frame for one in drawn])
    for one in drawn:
        _draw_run(ax, one, unit)
    # What is warm-up in every run; where a run's own ends, its fitted line begins.
    begin = min((b for one in drawn if math.isfinite(b := one.baseline(unit))), default=-math.inf)
    _shade_warm_up(ax, begin)
    _finish(ax, resource, cut=any(one.grows(unit) for one in drawn))
    style.legend(ax)
    last = _after_warm_up(ax, drawn, unit, begin) or ax
    last.set_xlabel(axis_label(unit))
    ax.set_ylabel(name)
    return ax


@dataclass(frozen=True)
class Drawn:
    """One run in a figure: its series, and at which place it is drawn."""

    run: RunLike
    frame: pd.DataFrame
    resource: str
    index: int

    def fitted(self, unit: str) -> ResourceVerdict | None:
        """Its verdict on the resource, where that counts in the figure's unit."""
        if not len(self.frame):
            return None
        found = self.run.verdict().resource(self.resource, self.frame.attrs["role"])
        return found if found is not None and found.unit == unit else None

    def baseline(self, unit: str) -> float:
        """Where its warm-up ends; -inf where nothing says."""
        found = self.fitted(unit)
        return -math.inf if found is None or found.baseline_x is None else float(found.baseline_x)

    def grows(self, unit: str) -> bool:
        """Whether it is anything but bounded: then small growth must be seen."""
        found = self.fitted(unit)
        return bool(len(self.frame)) and (found is None or found.verdict != "bounded")


def _finish(ax: Axes, resource: str, *, cut: bool) -> None:
    """Ticks and limits; where nothing grows the axis begins at nought, else a cut one is said."""
    units.label_axis(ax.yaxis, resource)
    units.calm_limits(ax)
    low, high = ax.get_ylim()
    if low > 0 and (not cut or low < _WHOLE_SHARE * high):
        ax.set_ylim(0.0, high + _HEADROOM * high)
    elif low > 0:
        style.say_cut(ax, f"axis begins at {units.value_text(resource, low)}")
    ax.margins(x=0.01)


def _after_warm_up(ax: Axes, drawn: Sequence[Drawn], unit: str, begin: float) -> Axes | None:
    """A panel below of what is judged alone, where it is flat beside start-up; else None."""
    if not any(one.grows(unit) for one in drawn) or not math.isfinite(begin):
        return None
    series = [points(one.frame, unit) for one in drawn if len(one.frame)]
    late = np.concatenate([y[x >= begin] for x, y in series])
    whole = np.concatenate([y for _, y in series])
    if len(late) < _LEAST_POINTS or np.ptp(late) >= _FLAT_SHARE * np.ptp(whole):
        return None
    figure = style.figure_of(ax)
    if figure.axes != [ax]:  # the figure has its own order
        return None
    figure.set_figheight(_PANEL_STRETCH * figure.get_figheight())
    rows = figure.add_gridspec(2, 1)
    ax.set_subplotspec(rows[0])
    panel = figure.add_subplot(rows[1])
    panel.set_gid("after warm-up")
    style.dress(panel)
    for one in drawn:
        if len(one.frame):
            x, y = points(one.frame, unit)
            after = x >= begin
            panel.plot(x[after], y[after], **style.line(one.index, int(after.sum())))
            if (found := one.fitted(unit)) is not None:
                _draw_rate(panel, one.frame, found, style.series_colour(one.index))
    _finish(panel, drawn[0].resource, cut=True)
    panel.set_ylabel("after warm-up")
    return panel


def as_runs(runs: RunLike | Iterable[RunLike | None]) -> Sequence[RunLike]:
    """One run, a list of runs or a dict of runs by variant, as a list; None is no run."""
    given: Any = runs
    if isinstance(given, str) or not isinstance(given, Iterable):
        return [as_run(given)]
    several = given.values() if isinstance(given, Mapping) else given
    return [as_run(run) for run in several if run is not None]


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


def _draw_run(ax: Axes, one: Drawn, unit: str) -> None:
    colour = style.series_colour(one.index)
    label = style.printable(name_of(one.run), _LABEL_LIMIT)
    if not len(one.frame):
        ax.plot([], [], color=colour, label=f"{label}: not measured")
        return
    x, y = points(one.frame, unit)
    fitted = one.fitted(unit)
    if fitted is not None:
        rate = units.paced_rate(fitted)
        label = f"{label}: {fitted.verdict}, {rate}{_interval(fitted)}"
    ax.plot(x, y, label=label, **style.line(one.index, len(x)))
    if fitted is not None:
        _draw_rate(ax, one.frame, fitted, colour)


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


def _interval(fitted: Any) -> str:
    if not _known(fitted.rate_low) or not _known(fitted.rate_high):
        return ""
    ends = fitted.rate_low, fitted.rate_high
    text = interval_text(fitted.name, *ends, fitted.unit, fitted.span)
    return f" ({text})" if " to " in text else ""


def _draw_rate(ax: Axes, frame: pd.DataFrame, fitted: Any, colour: str) -> None:
    """The fitted line through the middle of the points it describes, and the band around it."""
    x, y = frame["x"].to_numpy(np.float64), frame["value"].to_numpy(np.float64)
    baseline = fitted.baseline_x
    if _known(baseline):
        x, y = x[x >= baseline], y[x >= baseline]
    if len(x) < 2 or not _known(fitted.rate):
        return
    ends, middle, level = _line(x, y, fitted.rate)
    ax.plot(ends, level + fitted.rate * (ends - middle), gid="rate", **style.rate_line())
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


def _line(x: Any, y: Any, rate: float) -> tuple[Any, float, float]:
    """Both ends of the fitted line, the middle between them, and the level there.

    The rate is that of the end of the run. Where the curve bends, a line over all of it would leave
    the figures far behind: it is drawn over as much of the end as it describes.
    """
    room = _LINE_ROOM * float(np.ptp(y))
    low, high = float(y.min()) - room, float(y.max()) + room
    while True:
        ends, middle = np.array([x[0], x[-1]]), float(np.median(x))
        level = float(np.median(y - rate * (x - middle)))
        heights = level + rate * (ends - middle)
        if (heights.min() >= low and heights.max() <= high) or len(x) < 2 * _LEAST_POINTS:
            return ends, middle, level
        x, y = x[len(x) // 4 :], y[len(y) // 4 :]
