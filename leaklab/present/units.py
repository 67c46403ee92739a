"""How figures say a value; amounts and rates as everywhere (`leaklab.present.formatting`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator

from leaklab import resources
from leaklab.present import formatting as words
from leaklab.present.terminal import quantity

# Share of its level that a resource must move to fill a figure.
_LEAST_SPAN = 0.005
_MOST_DECIMALS = 4


def title(resource: str, role: str = "main") -> str:
    """What a resource is called in a figure; of processes other than the main one with theirs."""
    if role != "main":
        return f"{title(resource)} of {role}"
    return resources.title(resource)


def bytes_text(value: float) -> str:
    """Bytes in binary units: ``1.5 MiB``."""
    return words.amount("heap_bytes", value)


def count_text(value: float) -> str:
    """A number of things, without their name."""
    return quantity(value)


def value_text(resource: str, value: float | None) -> str:
    """A value of the resource with its unit; "unmeasured" when there is none."""
    if value is None or math.isnan(value):
        return "unmeasured"
    return words.amount(resource, value)


def rate_text(resource: str, rate: float | None, unit: str) -> str:
    """A growth rate with its sign and unit: ``+1.02 KiB per iteration``."""
    if rate is None or math.isnan(rate):
        return "rate unknown"
    return f"{words.amount(resource, rate, signed=True)} per {unit}"


def paced_rate(resource: Any) -> str:
    """The estimated growth rate of a `ResourceVerdict`, in the pace of its reason."""
    size, word = words.pace(resource.unit, resource.span)
    return rate_text(resource.name, resource.rate * size, word)


def pace_text(resource: Any) -> str:
    """The growth rate of a `ResourceVerdict`, in the pace of its reason.

    What is bounded has no rate to go on with: of it the largest that is not excluded (95 %), empty
    where that is none.
    """
    if resource.verdict != "bounded":
        return paced_rate(resource)
    if not 0 < resource.excluded < math.inf:
        return ""
    size, word = words.pace(resource.unit, resource.span)
    return f"≤ {words.amount(resource.name, resource.excluded * size)} per {word}"


def share_text(share: float) -> str:
    """A share as whole per cent; what is small is not called nothing, what has none is "-"."""
    if not math.isfinite(share):
        return "-"
    return "under 1 %" if 0 < share < 0.01 else f"{share * 100:.0f} %"


def label_axis(axis: Axis, resource: str, tick_count: int = 5) -> None:
    """Give a matplotlib axis the ticks that suit the resource's unit."""
    if resources.is_bytes(resource):
        axis.set_major_locator(_ByteLocator(nbins=tick_count))
        axis.set_major_formatter(_ByteFormatter())
    else:
        whole = resource.endswith("_count")
        axis.set_major_locator(MaxNLocator(nbins=tick_count, integer=whole))
        axis.set_major_formatter(FuncFormatter(lambda value, _: count_text(value)))


def calm_limits(ax: Axes) -> None:
    """Keep what hardly changes from filling the figure: a few bytes of noise are no cliff."""
    low, high = ax.get_ylim()
    least = _LEAST_SPAN * max(abs(low), abs(high))
    if 0 < high - low < least:
        middle = (low + high) / 2
        ax.set_ylim(middle - least / 2, middle + least / 2)


class _ByteLocator(MaxNLocator):
    """Round ticks in the binary unit of the axis rather than in powers of ten."""

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        scale, _ = _byte_unit(max(abs(vmin), abs(vmax)))
        return [tick * scale for tick in super().tick_values(vmin / scale, vmax / scale)]


class _ByteFormatter(Formatter):
    """One unit and as many decimals on all ticks as their step has: equal steps look equal."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        if not x:
            return "0"
        ticks = self.axis.get_majorticklocs() if isinstance(self.axis, Axis) else [x]
        scale, unit = _byte_unit(float(np.abs(ticks).max()))
        step = float(np.diff(ticks).min()) / scale if len(ticks) > 1 else 1.0
        decimals = next(
            (d for d in range(_MOST_DECIMALS) if abs(round(step, d) - step) < 1e-9), _MOST_DECIMALS
        )
        return f"{x / scale:,.{decimals}f} {unit}"


def _byte_unit(largest: float) -> tuple[float, str]:
    return next(((s, unit) for s, unit in words.BYTE_SCALES if largest >= s), (1, "B"))
