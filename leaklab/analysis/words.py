"""Figures as words: amounts and rates with their units, for reasons and reports."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaklab.analysis.growth import Growth

_SCALES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def is_bytes(name: str) -> bool:
    """Whether a resource is counted in bytes."""
    return name.split(":")[0].endswith("_bytes")


def amount(name: str, value: float, *, signed: bool = False) -> str:
    """A value of a resource with its unit: "12.3 MB", "+4 fds"."""
    sign = "+" if signed and value > 0 else ""
    if math.isnan(value):
        return "unknown"
    if is_bytes(name):
        for scale, unit in _SCALES:
            if abs(value) >= scale:
                return f"{sign}{value / scale:.3g} {unit}"
        return f"{sign}{value:.3g} B"
    figure = f"{value:.0f}" if float(value).is_integer() else f"{value:.3g}"
    return f"{sign}{figure} {counted(name)}".rstrip()


def counted(name: str) -> str:
    """What a count counts: "fds" for fd_count, nothing for a gauge."""
    return name.removesuffix("_count") + "s" if name.endswith("_count") else ""


def rate_text(name: str, growth: Growth) -> str:
    """ "20.1 kB per iteration (20.0 to 20.2)" style text of a growth rate."""
    low, high = (amount(name, value) for value in (growth.rate_low, growth.rate_high))
    return f"{amount(name, growth.rate)} per {growth.unit} (95 %: {low} to {high})"


def span_text(length: float, unit: str) -> str:
    """ "200 iterations", "35 seconds"."""
    figure = f"{math.ceil(length)}" if unit == "iteration" else f"{length:.3g}"
    return f"{figure} {unit}{'' if figure == '1' else 's'}"
