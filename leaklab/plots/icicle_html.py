"""The interactive allocation tree: one self-contained page in a sandboxed frame.

The page may run its own script and nothing else: it is in an iframe without access to the page
around it, and its content policy allows no request. Names from the target are in the packed data,
which is base64, and reach the page as canvas text or text nodes.
"""

from __future__ import annotations

import base64
import functools
import html
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from leaklab.findings.tree import AllocationTree
from leaklab.plots import style
from leaklab.plots.icicle import (
    allocation_tree,
    default_metric,
    height_inches,
    named,
    tree_nodes,
)
from leaklab.plots.icicle_layout import (
    METRICS,
    Layout,
    check_metric,
    lay_out,
    metrics_of,
    node_label,
    prune,
)
from leaklab.plots.retained_tree import RETAINED_METRICS, retained_nodes
from leaklab.plots.tree_packing import clean_name, pack
from leaklab.present import units
from leaklab.whole_file import write_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from matplotlib.figure import Figure

NODE_LIMIT = 100_000
_SCRIPTS = ("data.js", "paint.js", "app.js", "main.js")
_PLAIN_ROWS = 20
_LEAST_ROWS, _MOST_ROWS = 3, 20
_AROUND_PIXELS, _ROW_PIXELS = 90, 19  # title, controls and status; a row of paint.js
_SEEN_SHARE = 0.005  # of the width: what is narrower is a stroke without a name
# What the controls take more where they wrap: in a narrow place.
_WRAPPED = "max(0px, min(30px, 970px - 100cqw), 195px - 26cqw)"
# A frame shut off from its page knows the browser's colour scheme only; where JupyterLab's theme is
# the other one, light and dark are exchanged and the hues stay.
_JUPYTER_THEME = (
    "<style>"
    '@media (prefers-color-scheme:light){[data-jp-theme-light="false"] iframe.leaklab-tree'
    "{filter:invert(.92) hue-rotate(180deg)}}"
    '@media (prefers-color-scheme:dark){[data-jp-theme-light="true"] iframe.leaklab-tree'
    "{filter:invert(1) hue-rotate(180deg) brightness(1.09)}}"
    "</style>"
)


@dataclass(frozen=True)
class HtmlFigure:
    """An interactive figure. ``document``: a whole HTML page.

    ``height_pixels``: of its frame, which is a little higher in a narrow place.
    """

    document: str
    alt: str
    height_pixels: int
    still: Callable[[], Figure]

    @property
    def iframe(self) -> str:
        """The page in its sandbox, to be placed in another page."""
        return f'<div style="container-type:inline-size">{self._frame()}</div>'

    @property
    def html(self) -> str:
        """The frame over the still figure: where frames are removed, the still one is seen."""
        return (
            '<div style="container-type:inline-size">'
            f'<div style="position:relative;min-{self._height}">'
            f'<img alt="{_escaped(self.alt)}" src="{style.png_uri(self._png)}" '
            f'style="max-width:100%;max-height:{self.height_pixels}px">'
            f"{self._frame('position:absolute;left:0;top:0;')}</div></div>{_JUPYTER_THEME}"
        )

    @property
    def _height(self) -> str:
        return f"height:calc({self.height_pixels}px + {_WRAPPED})"

    def _frame(self, placed: str = "") -> str:
        return (
            '<iframe class="leaklab-tree" sandbox="allow-scripts allow-downloads" '
            f'title="{_escaped(self.alt)}" style="{placed}width:100%;{self._height};border:0" '
            f'srcdoc="{_escaped(self.document)}"></iframe>'
        )

    @functools.cached_property
    def _png(self) -> bytes:
        return style.png(self.still(), dpi=150)

    def _repr_html_(self) -> str:
        return self.html

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """HTML, and the still figure for what shows no HTML (PDF, mail, viewers)."""
        image = base64.b64encode(self._png).decode("ascii")
        return {"text/html": self.html, "image/png": image, "text/plain": self.alt}

    def save(self, path: str | Path) -> Path:
        """Write the page as a file of its own and return its path."""
        return write_named(path, self.document, "the page", "name another file")


def allocation_tree_html(
    run_or_tree: Any,
    metric: str | None = None,
    height_pixels: int | None = None,
    node_limit: int = NODE_LIMIT,
) -> HtmlFigure:
    """The allocation tree of a run (or an `AllocationTree`) to zoom and search in a browser.

    ``metric``: what is shown first, as in `allocation_tree`; the reader can switch.
    ``height_pixels``: by default as high as the rows seen at first need, up to 20 rows. Beyond
    ``node_limit`` calls the smallest are drawn together. Raises UsageError for an unknown metric.
    """
    nodes = prune(tree_nodes(run_or_tree), node_limit)
    first = check_metric(nodes, metric or default_metric(nodes))
    layouts = [lay_out(nodes, "difference" if "before_bytes" in nodes.columns else "live_bytes")]
    offered = [(first, 0), *((name, 0) for name in metrics_of(nodes) if name != first)]
    retained = retained_nodes(run_or_tree.data) if hasattr(run_or_tree, "data") else None
    no_heap = len(nodes) == 1 and not nodes["live_bytes"].iloc[0]
    if retained is not None:
        layouts.append(lay_out(prune(retained, node_limit // 2), "retained_bytes"))
        held = [(name, 1) for name in RETAINED_METRICS]
        offered = [*held, *offered] if no_heap else [*offered, *held]
    elif no_heap:
        return _nothing(AllocationTree(nodes))
    name = getattr(run_or_tree, "label", "")
    alt = describe_tree(layouts[0].nodes, name)
    return HtmlFigure(
        _document(layouts[0].nodes, pack(layouts, _header(offered)), alt),
        alt,
        height_pixels or _height(layouts if offered[0][1] == 0 else layouts[::-1]),
        functools.partial(_still, AllocationTree(nodes), first, name),
    )


def _height(layouts: list[Layout]) -> int:
    """As high as the rows seen at first need; a deeper tree behind them, at most twice as high."""
    first, *others = (_seen_rows(layout) for layout in layouts)
    rows = max(first, min(2 * first, max(others, default=0)))
    return _AROUND_PIXELS + _ROW_PIXELS * min(_MOST_ROWS, max(_LEAST_ROWS, rows))


def _seen_rows(layout: Layout) -> int:
    """The rows of the whole tree that are wide enough to be seen."""
    seen = layout.width >= _SEEN_SHARE * layout.width[0]
    return int(layout.depth[seen].max()) + 1


def _nothing(tree: AllocationTree) -> HtmlFigure:
    """What is shown of a run without snapshots, so that no empty frame is."""
    text = "No heap was recorded in this run; the explain pass records it."
    document = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{text}</title>'
        "<style>:root{color-scheme:light dark}body{font-family:sans-serif}</style>"
        f"<p>{text}</p></html>"
    )
    return HtmlFigure(document, text, 60, functools.partial(_still, tree, "live_bytes"))


def _header(offered: list[tuple[str, int]]) -> dict[str, Any]:
    """What the page's script needs besides the trees: what can be shown, in which colours."""
    return {
        "metrics": [{"name": name, "label": METRICS[name], "tree": at} for name, at in offered],
        "labels": METRICS,
        "colours": {**style.ORIGIN, **style.ROOT_KIND},
        "unknown": style.UNKNOWN_ORIGIN,
        "grew": style.MORE_FILL,
        "shrank": style.LESS_FILL,
        "same": style.SAME_FILL,
    }


def describe_tree(nodes: pd.DataFrame, name: str = "") -> str:
    """The tree in a sentence: whose, total, number of calls, the largest place of the target."""
    root = nodes.iloc[0]
    of = f" of {clean_name(name)}" if name else ""
    text = f"Allocation tree{of}: {units.bytes_text(root.live_bytes)} live in {len(nodes):,} calls"
    if "before_bytes" in nodes.columns:
        text += f", {units.bytes_text(root.before_bytes)} before"
    target = nodes[nodes["origin"].eq("target")]
    if len(target):
        held = target["live_bytes"].to_numpy()
        # Calls with more than half of all lie below one another. Else the innermost of the largest.
        most = (2 * held > root.live_bytes) | (held == held.max())
        deepest = target.iloc[len(held) - 1 - most[::-1].argmax()]
        text += f"; most through {clean_name(node_label(deepest))}"
    return text


def _still(tree: AllocationTree, metric: str, name: str = "") -> Figure:
    ax = named(allocation_tree(tree, style.detached_axes(9.0, 5.0), metric), name)
    figure = style.figure_of(ax)
    figure.set_figheight(height_inches(int(ax.get_ylim()[0])))
    return figure


def _document(nodes: pd.DataFrame, packed: str, alt: str) -> str:
    folder = resources.files("leaklab.plots") / "tree"
    page = Template((folder / "page.html").read_text(encoding="utf-8"))
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    present = [(c, name) for name, c in style.ORIGIN.items() if (nodes["origin"] == name).any()]
    change = [
        (style.MORE_FILL, "more after"),
        (style.SAME_FILL, "the same"),
        (style.LESS_FILL, "less after"),
    ]
    document = page.substitute(
        title=_escaped(alt),
        css=(folder / "tree.css").read_text(encoding="utf-8"),
        rows=_plain_rows(nodes),
        legend=_key(present),
        change=_key(change),
        packed=packed,
        script=script,
    )
    # The scripts are ASCII; the rest becomes so, whatever the encoding of the page around it.
    return document.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _plain_rows(nodes: pd.DataFrame) -> str:
    """The largest calls as table rows: what is read where the script cannot run."""
    largest = nodes.iloc[1:].nlargest(_PLAIN_ROWS, "live_bytes")
    return "".join(
        f"<tr><td>{_escaped(clean_name(node_label(node)))}</td>"
        f"<td>{units.bytes_text(float(node.live_bytes))}</td></tr>"
        for node in _rows(largest)
    )


def _rows(nodes: pd.DataFrame) -> Iterator[Any]:
    return nodes.itertuples(index=False)


def _key(entries: list[tuple[str, str]]) -> str:
    return "".join(
        f'<span><i style="background:{colour}"></i>{name}</span>' for colour, name in entries
    )


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)
