"""How figures say a value; amounts and rates as `leaklab.analysis.words` says them everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, MaxNLocator

from leaklab.analysis import words

_TITLES = {
    "rss_bytes": "resident set size",
    "uss_bytes": "unique set size",
    "rss_peak_bytes": "peak resident set size per mark",
    "heap_bytes": "live heap",
    "fd_count": "open file descriptors",
    "task_count": "asyncio tasks",
    "child_count": "child processes",
}


def title(resource: str) -> str:
    """What a resource is called in a figure."""
    kind, _, rest = resource.partition(":")
    if kind == "gauge":
        return rest.replace("_", " ")
    if kind == "file_bytes":
        return f"size of {rest}"
    known = _TITLES.get(resource)
    return known or words.counted(resource) or resource.replace("_", " ")


def bytes_text(value: float) -> str:
    """Bytes in binary units: ``1.5 MiB``."""
    return words.amount("heap_bytes", value)


def count_text(value: float) -> str:
    """A number of things, without their name."""
    return words.amount("gauge", value)


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


def share_text(share: float) -> str:
    """A share as whole per cent; what is small is not called nothing."""
    return "under 1 %" if 0 < share < 0.01 else f"{share * 100:.0f} %"


def label_axis(axis: Axis, resource: str, tick_count: int = 5) -> None:
    """Give a matplotlib axis the ticks that suit the resource's unit."""
    if words.is_bytes(resource):
        axis.set_major_locator(_ByteLocator(nbins=tick_count))
        axis.set_major_formatter(FuncFormatter(lambda value, _: bytes_text(value)))
    else:
        whole = resource.endswith("_count")
        axis.set_major_locator(MaxNLocator(nbins=tick_count, integer=whole))
        axis.set_major_formatter(FuncFormatter(lambda value, _: count_text(value)))


class _ByteLocator(MaxNLocator):
    """Round ticks in the binary unit of the axis rather than in powers of ten."""

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        largest = max(abs(vmin), abs(vmax))
        scale = next((scale for scale, _ in words.BYTE_SCALES if largest >= scale), 1)
        return [tick * scale for tick in super().tick_values(vmin / scale, vmax / scale)]
