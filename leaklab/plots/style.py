"""The look of every figure, in one place.

Figures are transparent, with an ink that keeps a contrast of 4.3 or more on white and on near
black, so that one figure is legible in light and dark; a page that inlines the SVG replaces
`INK` by its own text colour. Line colours are Okabe and Ito's, safe for colour-blind readers.
"""

from __future__ import annotations

import base64
import functools
import io
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from leaklab.plots.svg_text import compact

INK = "#767778"
SERIES = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#a68a00", "#56b4e9", "#7a6ff0")
ORIGIN = {
    "target": "#e07b2f",
    "site-packages": "#4a90c2",
    "stdlib": "#2f9e7d",
    "native": "#b978b0",
    "leaklab": "#8c8c8c",
}
# Where an object graph starts: the kinds of roots.
ROOT_KIND = {
    "module": "#e07b2f",
    "thread": "#4a90c2",
    "task": "#2f9e7d",
    "context": "#c9a227",
    "native": "#b978b0",
    "cycle": "#8c8c8c",
}
UNKNOWN_ORIGIN = "#a0988a"
VERDICT = {"leak": "#d55e00", "bounded": "#009e73", "inconclusive": "#a68a00"}
GREW = "#d55e00"
# Fills with text on them: more after than before, less, the same. Orange and blue tell apart in
# every common colour blindness.
MORE_FILL, LESS_FILL, SAME_FILL = "#e8833a", "#56a5d8", "#b4b4b4"
TEXT_ON_FILL = "#111111"
FONT_SIZE = 9.0
WIDTH_INCHES = 9.6  # the width of a notebook's or a page's text


class OwnFigure(Figure):
    """A figure that leaklab has made: what notebooks draw differently from the user's own."""

    @property
    def alt(self) -> str:
        """What is written in it, for those who do not see it: titles, axes, legends, labels."""
        every: list[Any] = [one for ax in self.axes for one in (ax, *ax.child_axes)]
        return "; ".join(filter(None, map(_written, every))) or "nothing drawn"

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"


def _written(ax: Axes) -> str:
    """Return what is written in axes: ``live heap by iterations: before: leak``."""
    title = next(filter(None, (ax.get_title(loc=place) for place in ("left", "center"))), "")
    what = " by ".join(filter(None, (title or ax.get_ylabel(), ax.get_xlabel())))
    legend = ax.get_legend()
    texts = [*(legend.get_texts() if legend is not None else ()), *ax.texts]
    shown = [" ".join(text.get_text().split()) for text in texts if text.get_visible()]
    labels = ", ".join(filter(None, shown)).replace(r"\$", "$")
    return ": ".join(filter(None, (what, labels)))


def series_colour(index: int) -> str:
    """The colour of the run at this place."""
    return SERIES[index % len(SERIES)]


# Of runs that coincide all are seen: each next one leaves gaps for those below it.
_DASHES: tuple[Any, ...] = ("-", "-", (0, (5, 4)), (2, (2, 4)), (0, (1, 2)))


def line(index: int, point_count: int) -> dict[str, Any]:
    """Line settings of the run at this place; too few points for a line get markers.

    The first is wide, from the third on they are dashed: runs that coincide are all seen.
    """
    return {
        "color": series_colour(index),
        "linewidth": (3.2, 1.4)[index] if index < 2 else 1.8,
        "linestyle": _DASHES[min(index, len(_DASHES) - 1)],
        "solid_capstyle": "round",
        "marker": "o" if point_count < 3 else None,
        "markersize": 5,
    }


def rate_line() -> dict[str, Any]:
    """Line settings of a fitted rate: dark dashes in a light rim.

    A smooth run lies under its own rate all the way: no single colour is seen on every run's line
    and on both backgrounds, dark within light is.
    """
    return {
        "color": TEXT_ON_FILL,
        "linewidth": 1.1,
        "linestyle": (0, (5, 6)),
        "dash_capstyle": "butt",
        "path_effects": [withStroke(linewidth=2.8, foreground="white")],
        "zorder": 3,
    }


@functools.lru_cache(maxsize=1)
def _font() -> FT2Font:
    return FT2Font(font_manager.findfont("DejaVu Sans"))


@functools.lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    return frozenset(_font().get_charmap())


def printable(text: object, limit: int | None = None) -> str:
    """A name from a target as text a figure can draw.

    Characters the font has no glyph for become a replacement mark, line breaks become spaces,
    ``$`` does not start mathematics, and with ``limit`` the middle is cut out.
    """
    known = _glyphs()
    drawn = "".join(c if ord(c) in known else "�" for c in " ".join(str(text).split()))
    if limit is not None and len(drawn) > limit:
        head = (limit - 1) // 2
        drawn = f"{drawn[:head]}…{drawn[len(drawn) - (limit - 1 - head) :]}"
    return drawn.replace("$", r"\$")


def axes(width_inches: float = WIDTH_INCHES, height_inches: float = 3.6) -> Axes:
    """Axes on a new transparent pyplot figure, shown by Jupyter at the end of the cell."""
    from matplotlib import pyplot

    figure = pyplot.figure(
        figsize=(width_inches, height_inches), facecolor="none", FigureClass=OwnFigure
    )
    figure.set_layout_engine("constrained")
    return figure.add_subplot()


def detached_axes(width_inches: float = WIDTH_INCHES, height_inches: float = 3.6) -> Axes:
    """Axes on a figure that pyplot does not keep: for pages, where nothing closes figures."""
    figure = Figure(figsize=(width_inches, height_inches), facecolor="none", layout="constrained")
    return figure.add_subplot()


def dress(ax: Axes, grid: bool = True) -> Axes:
    """Give the axes leaklab's look."""
    ax.set_facecolor("none")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(INK)
    ax.tick_params(colors=INK, labelsize=FONT_SIZE - 0.5, length=3)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)
    ax.xaxis.label.set_fontsize(FONT_SIZE)
    ax.yaxis.label.set_fontsize(FONT_SIZE)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(axis="y", color=INK, alpha=0.25, linewidth=0.6)
    return ax


def width_points(ax: Axes) -> float:
    """How wide the axes are, in points, before a layout engine moves them."""
    return figure_of(ax).get_figwidth() * ax.get_position().width * 72


# A figure's title, as options of matplotlib's `suptitle`.
TITLE: dict[str, Any] = {
    "x": 0.01,
    "ha": "left",
    "fontsize": FONT_SIZE + 1.5,
    "color": INK,
    "fontweight": "bold",
}


def title(ax: Axes, text: str) -> None:
    """A left-aligned title."""
    ax.set_title(text, loc="left", fontsize=FONT_SIZE + 1.5, color=INK, fontweight="bold")


def say_cut(ax: Axes, text: str) -> None:
    """Mark the vertical axis as not beginning at nought: a broken foot, and where it begins."""
    for height in (0.015, 0.05):
        ax.plot(
            [0.0], [height], transform=ax.transAxes, clip_on=False, gid="axis break",
            marker=[(-1.0, -0.4), (1.0, 0.4)], markersize=9, markeredgecolor=INK,
            markeredgewidth=1.0, linestyle="none", zorder=5,
        )  # fmt: skip
    ax.text(
        1.0, 1.02, text, ha="right", va="bottom", fontsize=FONT_SIZE - 1.5, color=INK,
        fontstyle="italic", transform=ax.transAxes, gid="axis start",
    )  # fmt: skip


def legend(ax: Axes, **options: object) -> None:
    """A legend above the data, without a frame, in the figure's ink."""
    settings: dict[str, object] = {
        "loc": "lower left",
        "bbox_to_anchor": (0.0, 1.0),
        "frameon": False,
        "ncols": 1,
        "fontsize": FONT_SIZE,
        "labelcolor": INK,
        "borderaxespad": 0.2,
        "handlelength": 2.4,
    }
    ax.legend(**{**settings, **options})


def nothing(ax: Axes, why: str) -> Axes:
    """An honest empty figure: the reason in words in place of empty axes."""
    ax.set_axis_off()
    ax.text(
        0.5,
        0.5,
        why,
        ha="center",
        va="center",
        color=INK,
        fontsize=FONT_SIZE + 1,
        transform=ax.transAxes,
        wrap=True,
    )
    return ax


def thin(
    x: NDArray[np.float64], y: NDArray[np.float64], limit: int = 1500
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most ``limit`` points that keep each stretch's lowest and highest value.

    A day at 100 Hz would make a figure of hundreds of megabytes; peaks must not vanish.
    """
    if len(x) <= limit:
        return x, y
    kept: list[int] = []
    for part in np.array_split(np.arange(len(x)), limit // 2):
        finite = part[np.isfinite(y[part])]
        if len(finite):
            kept += sorted({int(finite[np.argmin(y[finite])]), int(finite[np.argmax(y[finite])])})
    return x[kept], y[kept]


def text_width_points(text: str, size_points: float) -> float:
    """How wide the text is drawn, by the font's own measures."""
    font = _font()
    font.set_size(size_points, 72)
    font.set_text(text.replace(r"\$", "$"), 0.0)
    width, _ = font.get_width_height()
    return float(width) / 64


def fitted(text: str, room_points: float, size_points: float) -> str:
    """The longest beginning of the text that fits, or "" where not even three letters do."""
    if room_points < 3 * size_points:
        return ""
    if text_width_points(text, size_points) <= room_points:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        wide = text_width_points(text[:middle] + "…", size_points)
        low, high = (middle, high) if wide <= room_points else (low, middle - 1)
    cut = text[:low].rstrip("\\ ")
    return f"{cut}…" if len(cut) >= 3 else ""


def figure_of(ax: Axes) -> Figure:
    """The figure the axes are on (the outermost, where figures are nested)."""
    figure = ax.get_figure(root=True)
    assert figure is not None, "axes that were removed from their figure"
    return figure


def svg(figure: Figure, alt: str) -> str:
    """The figure as inline SVG with an alt text, following the page's text colour.

    Text is drawn as paths, so that clipped labels stay clipped with every reader's fonts.
    """
    import html
    import re

    import matplotlib

    buffer = io.StringIO()
    # A fixed salt keeps ids stable from run to run; the prefix keeps figures of one page apart.
    salt = f"{zlib.crc32(alt.encode()):x}"
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = compact(text[text.index("<svg") :]).replace(INK, "currentColor")
    ids = set(re.findall(r'\bid="([^"]+)"', text))
    prefix = f"f{salt}-"
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', text)
    text = re.sub(
        r'(href="#|url\(#)([^")]+)',
        lambda m: f"{m[1]}{prefix}{m[2]}" if m[2] in ids else m[0],
        text,
    )
    label = html.escape(alt, quote=True)
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure as PNG, at twice the usual resolution."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def png_uri(data: bytes) -> str:
    """A PNG as a data: address."""
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def labels(names: Sequence[str]) -> list[str]:
    """Names as legend labels: printable and not endless."""
    return [printable(name, 60) for name in names]
