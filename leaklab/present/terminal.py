"""Words for a terminal: names of the target made harmless, figures with units, how a pass ended."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

from leaklab.present.formatting import amount, three_digits
from leaklab.resources import is_bytes


def safe(text: object) -> str:
    """Return ``text`` in one line, with what a terminal would obey written as an escape.

    Control characters (C0, C1, so every escape sequence), line separators and the marks that turn
    the direction of text around become ``\\x1b`` and the like.
    """
    return "".join(
        char
        if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else char.encode("unicode_escape").decode("ascii")
        for char in str(text)
    )


def quantity(value: float | None, resource: str = "") -> str:
    """Return a figure with its unit: ``20.2 kB``, ``0.25``; ``-`` if it was not measured."""
    if value is None or not math.isfinite(value):
        return "-"
    if resource and is_bytes(resource):
        return amount(resource, value)
    return f"{value:,.0f}" if value == round(value) else three_digits(value)


def has_failed(entry: Mapping[str, Any]) -> bool:
    """Return whether a pass of ``meta["passes"]`` came to an end that nobody asked for."""
    return bool(entry.get("signal") or entry.get("exit_status")) and not entry.get("stopped_by")


def ending_text(entry: Mapping[str, Any]) -> str:
    """Return what was out of the ordinary in how a pass of ``meta["passes"]`` ended, or ""."""
    if entry.get("out_of_memory"):
        return "the kernel has killed the target for want of memory"
    if entry.get("stopped_by"):
        return f"stopped by {safe(entry['stopped_by'])}"
    if entry.get("signal"):
        return f"the target was killed by signal {safe(entry['signal'])}"
    if entry.get("exit_status"):
        return f"the target ended with exit status {safe(entry['exit_status'])}"
    return ""
