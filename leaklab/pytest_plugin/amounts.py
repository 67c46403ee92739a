"""Amounts with their units, without loading what formats them in reports."""

from __future__ import annotations

import math

_SCALES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_WORDS = {"fd_count": ("fd", "fds"), "child_count": ("child", "children")}


def amount_text(resource: str, value: float) -> str:
    """Return a value with its unit.

    >>> amount_text("heap_bytes", 2048), amount_text("fd_count", 1)
    ('2.0 KiB', '1 fd')
    """
    if math.isnan(value):
        return "unknown"
    if resource.endswith("_bytes") or "bytes:" in resource:
        for scale, unit in _SCALES:
            if abs(value) >= scale:
                return f"{value / scale:.3g} {unit}" if value / scale >= 10 else (
                    f"{value / scale:.1f} {unit}"
                )
        return f"{value:.3g} B" if value else "0 B"
    name = resource.removesuffix("_count")
    one, many = _WORDS.get(resource, (name, name + "s"))
    return f"{value:.3g} {one if value == 1 else many}"


def growth_text(resource: str, rate: float, low: float, high: float) -> str:
    """Return ``2.0 KiB per call (1.9 KiB to 2.1 KiB)``; without the interval where none is."""
    text = f"{amount_text(resource, rate)} per call"
    if not math.isfinite(low) or not math.isfinite(high) or low == high:
        return text
    return f"{text} ({amount_text(resource, low)} to {amount_text(resource, high)}, 95 %)"
