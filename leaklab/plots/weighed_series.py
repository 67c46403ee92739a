"""How one series is weighed: its floors, its warm-up, its windows, and what follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leaklab.plots import style
from leaklab.present import units
from leaklab.verdict.evidence import GROWS, window_floors
from leaklab.verdict.growth import estimate
from leaklab.verdict.reading import read
from leaklab.verdict.resources import VERDICT_OF
from leaklab.verdict.shapes import MATERIAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def weighed(
    values: NDArray[Any], ax: Axes | None = None, *, material: float, title: str = ""
) -> Axes:
    """Draw a series (one value per mark) as the verdict sees it.

    material: growth over the run that matters, in the unit of the values. Thin line: the values.
    Steps: the floor of each window after warm-up; a leak's all rise. Dashed: the rate at the end.
    Shaded: warm-up. The title names the evidence, its code and, of what is not seen to grow, the
    bounded shape that explains the curve best.
    """
    ax = ax or style.axes()
    style.dress(ax)
    x = np.arange(1, len(values) + 1, dtype=np.float64)
    growth, evidence = read(estimate(x, values), material=material)
    colour = style.VERDICT[VERDICT_OF[evidence.verdict]]
    ax.plot(*style.thin(x, np.asarray(values, np.float64)), color=style.INK, linewidth=0.8)
    ax.plot(growth.floor_x, growth.floor_y, ".", color=style.INK, markersize=3)
    edges, lowest = window_floors(growth)
    ax.step(
        np.append(growth.x[edges], growth.end_x),
        np.append(lowest, lowest[-1]),
        where="post",
        color=colour,
        linewidth=2.2,
    )
    middle_x, middle_y = np.median(growth.floor_x), np.median(growth.floor_y)
    fitted = middle_y + growth.rate * (growth.x - middle_x)
    ax.plot(growth.x, fitted, "--", color=colour, linewidth=1.0)
    if growth.baseline_x > x[0]:
        ax.axvspan(x[0], growth.baseline_x, color=style.INK, alpha=0.15, linewidth=0)
    heading = f"{title}: " if title else ""
    shape = f"\n{evidence.shape}" if evidence.shape and evidence.verdict != GROWS else ""
    ax.set_title(
        f"{heading}{evidence.verdict} ({evidence.code}){shape}",
        fontsize=style.FONT_SIZE,
        color=style.INK,
    )
    ax.margins(x=0.01)
    units.label_axis(ax.yaxis, "gauge")
    return ax


def weighed_shapes(
    shapes: Mapping[str, NDArray[Any]], columns: int = 3, *, material: float = MATERIAL
) -> Figure:
    """Draw several series by name as small multiples of :func:`weighed`."""
    from matplotlib.figure import Figure

    rows = -(-len(shapes) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.0 * rows), layout="constrained")
    figure.patch.set_alpha(0)
    for at, (name, values) in enumerate(shapes.items()):
        weighed(values, figure.add_subplot(rows, columns, at + 1), material=material, title=name)
    return figure
