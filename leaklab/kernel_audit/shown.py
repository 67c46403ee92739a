"""What was shown and is kept since: figures, widgets, and the outputs of cells.

Runs in the kernel itself, so it is the standard library only.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from leaklab.kernel_audit.groups import Group
from leaklab.kernel_audit.lines import called, together

_MOST_KINDS = 3
# Where IPython keeps what cells have shown, beside the objects in Out.
_KEPT_OUTPUTS = ("outputs", "output_hist_reprs")


def shown_groups(namespace: Mapping[str, Any], shell: Any) -> Iterator[Group]:
    """A group for the figures that are open, one for the widgets, one for outputs."""
    yield from _figures(namespace)
    yield from _widgets(namespace)
    yield from _outputs(shell)


def _figures(namespace: Mapping[str, Any]) -> Iterator[Group]:
    """The figures that pyplot keeps open."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    figures = getattr(getattr(helpers, "Gcf", None), "figs", None)
    if not figures:
        return
    count = len(figures)
    pyplot = sys.modules.get("matplotlib.pyplot")
    bound = [name for name, value in list(namespace.items()) if value is pyplot]
    close = 'close("all")'
    line = f"plt.{close}" if "plt" in bound else called("matplotlib.pyplot", close, namespace)
    yield Group(
        key="figures",
        kind="figures",
        title=f"{count} {'figure' if count == 1 else 'figures'} never closed",
        line=line,
        type="Figure",
        targets=[id(manager) for manager in figures.values()],
        sources=[id(figures)],
        native_bytes=sum(map(_pixel_bytes, figures.values())),
    )


def _pixel_bytes(manager: Any) -> int:
    """Return what the picture of a figure takes that has been drawn: four bytes a pixel."""
    canvas = getattr(manager, "canvas", None)
    renderer = getattr(canvas, "__dict__", {}).get("renderer")
    size = getattr(renderer, "__dict__", {})
    width, height = size.get("width"), size.get("height")
    if isinstance(width, int | float) and isinstance(height, int | float):
        return int(4 * width * height)
    return 0


def _widgets(namespace: Mapping[str, Any]) -> Iterator[Group]:
    """The widgets that ipywidgets keeps, each with its observers, until somebody closes it."""
    names = vars(sys.modules.get("ipywidgets.widgets.widget", sys))
    registry = names.get("_instances")
    if registry is None:  # before version 8
        registry = getattr(names.get("Widget"), "__dict__", {}).get("widgets")
    if type(registry) is not dict or not registry:
        return
    widgets = list(registry.values())
    comms = [one._trait_values.get("comm") for one in widgets]
    manager = getattr(sys.modules.get("comm"), "get_comm_manager", lambda: None)()
    close = called("ipywidgets", "Widget.close_all();", namespace)
    yield Group(
        key="widgets",
        kind="widgets",
        title=f"{_counted(widgets)} never closed; to close takes them off the page",
        # Each is in a cycle with its channel to the page.
        line=together([close, called("gc", "collect();", namespace)]),
        type="Widget",
        targets=[id(one) for one in (*widgets, *comms) if one is not None],
        sources=[id(registry), id(getattr(manager, "comms", None))],
        collects=True,
    )


def _counted(widgets: list[Any]) -> str:
    """Return how many widgets there are and of which kinds: ``3 widgets (2 Button, HBox)``.

    Their layouts and styles are not counted: the user has not made them.
    """
    kinds = [type(one) for one in widgets]
    seen = [kind for kind in kinds if "DOMWidget" in {base.__name__ for base in kind.__mro__}]
    count = Counter(kind.__name__ for kind in seen or kinds)
    parts = [
        name if number == 1 else f"{number:,} {name}"
        for name, number in count.most_common(_MOST_KINDS)
    ]
    more = ["…"] if len(count) > _MOST_KINDS else []
    total = count.total()
    return f"{total:,} {'widget' if total == 1 else 'widgets'} ({', '.join(parts + more)})"


def _outputs(shell: Any) -> Iterator[Group]:
    """The texts and pictures that cells have shown, which IPython keeps from version 9 on."""
    manager = getattr(shell, "history_manager", None)
    kept = {name: getattr(manager, name, None) for name in _KEPT_OUTPUTS}
    found = {name: value for name, value in kept.items() if value}
    if not found:
        return
    count = len(set().union(*found.values()))
    yield Group(
        key="shown outputs",
        kind="cache",
        title=f"texts and pictures shown by {count:,} {'cell' if count == 1 else 'cells'}",
        line=together([f"get_ipython().history_manager.{name}.clear()" for name in found]),
        type="HistoryOutput",
        targets=[id(one) for each in found.values() for one in list(each.values())],
        sources=[id(each) for each in found.values()],
    )
