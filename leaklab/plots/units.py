"""How figures say a value: bytes in binary units, counts with thousands, and what a resource is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, MaxNLocator

_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")

TITLES = {
    "rss_bytes": "resident set size",
    "uss_bytes": "unique set size",
    "rss_peak_bytes": "peak resident set size per mark",
    "heap_bytes": "live heap",
    "fd_count": "open file descriptors",
    "socket_count": "sockets",
    "thread_count": "threads",
    "task_count": "asyncio tasks",
    "child_count": "child processes",
    "allocated_blocks_count": "allocated blocks",
    "context_switch_count": "context switches",
}


def title(resource: str) -> str:
    """What a resource is called in a figure."""
    kind, _, rest = resource.partition(":")
    if kind == "gauge":
        return rest.replace("_", " ")
    if kind == "file_bytes":
        return f"size of {rest}"
    return TITLES.get(resource, resource.replace("_", " "))


def is_bytes(resource: str) -> bool:
    """Whether the resource's values are bytes."""
    return resource.startswith("file_bytes:") or resource.endswith("_bytes")


def _scaled(value: float) -> tuple[float, str]:
    power = 0
    while abs(value) >= 1024 and power < len(_BYTE_UNITS) - 1:
        value, power = value / 1024, power + 1
    return value, _BYTE_UNITS[power]


def number_text(value: float) -> str:
    """A number in three significant figures, whole where it is whole; "unmeasured" for NaN."""
    if not math.isfinite(value):
        return "unmeasured" if math.isnan(value) else str(value)
    if abs(value) >= 1e15:
        return f"{value:.2e}"
    if value < 0:
        return f"−{number_text(-value)}"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.1e}"


def bytes_text(value: float) -> str:
    """Bytes in binary units: ``1.50 MiB``."""
    if not math.isfinite(value):
        return number_text(value)
    scaled, unit = _scaled(float(value))
    return f"{number_text(scaled if unit != 'B' else round(scaled, 1))} {unit}"


def value_text(resource: str, value: float | None) -> str:
    """A value of the resource with its unit; "unmeasured" when there is none."""
    if value is None:
        return "unmeasured"
    return bytes_text(value) if is_bytes(resource) else number_text(value)


def rate_text(resource: str, rate: float | None, unit: str) -> str:
    """A growth rate with its sign and unit: ``+1.02 KiB per iteration``."""
    if rate is None or math.isnan(rate):
        return "rate unknown"
    sign = "+" if rate > 0 else "−" if rate < 0 else ""
    return f"{sign}{value_text(resource, abs(rate))} per {unit}"


class _ByteLocator(MaxNLocator):
    """Round ticks in the binary unit of the axis rather than in powers of ten."""

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        largest = max(abs(vmin), abs(vmax))
        scaled, _ = _scaled(largest)
        divisor = largest / scaled if scaled else 1.0
        ticks = super().tick_values(vmin / divisor, vmax / divisor)
        return [tick * divisor for tick in ticks]


def label_axis(axis: Axis, resource: str, tick_count: int = 5) -> None:
    """Give a matplotlib axis the ticks that suit the resource's unit."""
    if is_bytes(resource):
        axis.set_major_locator(_ByteLocator(nbins=tick_count))
        axis.set_major_formatter(FuncFormatter(lambda v, _: bytes_text(v)))
    else:
        whole = resource.endswith("_count")
        axis.set_major_locator(MaxNLocator(nbins=tick_count, integer=whole))
        axis.set_major_formatter(FuncFormatter(lambda v, _: number_text(v)))
