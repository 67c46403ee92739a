"""What keeps the growth alive: paths from a root, a row each, and where along them it piles up."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from matplotlib.patches import FancyBboxPatch

from leaklab.arguments import as_run
from leaklab.plots import style
from leaklab.present import units
from leaklab.present.formatting import holders_worth_showing, why_no_holder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from leaklab.plots.protocol import RunLike

WIDTH_INCHES = 9.0
_ROW_INCHES = 0.62
_TEXT_LEFT = 0.80
_SPAN_ROWS = 0.45  # the line below the paths
_ARROW = re.compile(r"\s+(?:→|->)\s+")
_GAP_POINTS, _PAD_POINTS = 11.0, 4.0
_LEAST_POINTS = 12 * style.FONT_SIZE / 2  # some twelve letters tell most names


def height_inches(row_count: int) -> float:
    """Return how high a figure of so many paths is, with the line below them."""
    return _ROW_INCHES * (max(1, row_count) + _SPAN_ROWS) + 0.2


def retention(run: RunLike, ax: Axes | None = None, limit: int = 8) -> Axes:
    """Draw the first retention paths: the steps from root to object as boxes, the accumulation
    point (where ever more objects hang) in orange, and on the right what grew there."""
    table = holders_worth_showing(as_run(run)).head(limit)
    ax = ax or style.axes(WIDTH_INCHES, height_inches(len(table)))
    if not len(table):
        return style.nothing(ax, f"no retention path: {why_no_holder(run)}")
    ax.set_axis_off()
    ax.set_facecolor("none")
    points = style.width_points(ax)
    ax.set_xlim(0, points)
    spans = [text for role in table["role"].unique() if (text := _looked_at(run, role))]
    ax.set_ylim(len(table) + _SPAN_ROWS * bool(spans), 0)
    if spans:
        ax.text(0, len(table) + 0.2, "; ".join(spans), va="center", color=style.INK,
                fontsize=style.FONT_SIZE - 1, fontstyle="italic", gid="span")  # fmt: skip
    largest = max(_figure(row.growth_bytes) for row in table.itertuples()) or 1.0
    for at, row in enumerate(table.itertuples(index=False)):
        _draw_path(ax, row, at, points * (_TEXT_LEFT - 0.02))
        share = _figure(row.growth_bytes) / largest
        ax.barh(at + 0.84, share * points * (_TEXT_LEFT - 0.02), height=0.09, left=0.0,
                color=style.GREW, alpha=0.5, gid=f"growth {at}")  # fmt: skip
        _draw_figures(ax, row, at, points * _TEXT_LEFT)
    return ax


def _looked_at(run: RunLike, role: str) -> str:
    """Between which marks or seconds a role's objects were compared: less than the whole run."""
    from leaklab.findings.retention import dumps_after_warm_up

    found = dumps_after_warm_up(run.data, role)
    if found is None:
        return ""
    _, numbers, (first, last), unit = found
    of = "" if role == "main" else f" of {style.printable(role, 30)}"
    ends = (
        f"marks {first:,.0f} and {last:,.0f}"
        if unit == "iteration"
        else f"{first:,.1f} and {last:,.1f} s"
    )
    return f"growth between {ends}{of}, in {len(numbers)} object graphs"


def steps(path: str) -> list[str]:
    """The steps of a retention path's text, from the root."""
    return [part for part in _ARROW.split(path) if part]


def _draw_path(ax: Axes, row: Any, at: int, room_points: float) -> None:
    size = style.FONT_SIZE - 0.5
    printable = [style.printable(name, 48) for name in steps(str(row.path))]
    fitting = _fitting(printable, room_points, size)
    accumulation = style.printable(str(row.accumulation_point), 48)
    left = 0.0
    for index, (name, shown) in enumerate(fitting):
        width = style.text_width_points(shown, size) + 2 * _PAD_POINTS
        here = bool(accumulation) and (name == accumulation or accumulation.endswith(name))
        box = FancyBboxPatch(
            (left + 1, at + 0.24), width - 2, 0.44, boxstyle="round,pad=0,rounding_size=2",
            mutation_aspect=1 / 40, linewidth=0.9, facecolor=style.MORE_FILL if here else "none",
            edgecolor=style.GREW if here else style.INK, gid="accumulation" if here else None,
        )  # fmt: skip
        ax.add_patch(box)
        ax.text(left + width / 2, at + 0.46, shown, ha="center", va="center_baseline",
                fontsize=size, color=style.TEXT_ON_FILL if here else style.INK)  # fmt: skip
        left += width
        if index < len(fitting) - 1:
            ax.text(left + _GAP_POINTS / 2, at + 0.46, "›", ha="center", va="center_baseline",
                    fontsize=size + 2, color=style.INK)  # fmt: skip
            left += _GAP_POINTS


def _fitting(names: list[str], room_points: float, size: float) -> list[tuple[str, str]]:
    """The steps that fit a row, each with what of its name fits: the longest are shortened, as far
    as they can still be told; then the middle gives way, for both ends matter most."""
    head, tail = names[: (len(names) + 1) // 2], names[(len(names) + 1) // 2 :]
    shown = names
    while True:
        widths = [style.text_width_points(name, size) for name in shown]
        widest = _widest(widths, room_points - len(shown) * (2 * _PAD_POINTS + _GAP_POINTS))
        if widest >= min(_LEAST_POINTS, max(widths)) or len(head) + len(tail) <= 2:
            break
        (head if len(head) > len(tail) else tail).pop(-1 if len(head) > len(tail) else 0)
        shown = [*head, "…", *tail]
    return [
        (name, name if width <= widest else style.fitted(name, widest, size) or "…")
        for name, width in zip(shown, widths, strict=True)
    ]


def _widest(widths: list[float], room: float) -> float:
    """How wide each may be for all to fit; what narrow ones leave, the wide ones get."""
    for done, width in enumerate(sorted(widths)):
        share = room / (len(widths) - done)
        if width > share:
            return share
        room -= width
    return max(widths)


def _draw_figures(ax: Axes, row: Any, at: int, left: float) -> None:
    growth = units.bytes_text(_figure(row.growth_bytes))
    count = _figure(row.growth_count)
    lines = (f"+{growth}", f"{units.count_text(count)} more: {style.printable(row.type, 24)}")
    for text, y in zip(lines, (0.32, 0.64), strict=True):
        ax.text(left, at + y, text, va="center", fontsize=style.FONT_SIZE - (y > 0.5),
                color=style.INK, fontweight="bold" if y < 0.5 else "normal")  # fmt: skip


def _figure(value: Any) -> float:
    """The value as a number; unmeasured draws no bar."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if math.isfinite(number) else 0.0
