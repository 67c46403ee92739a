"""Figures of runs: each takes a run (or several) and axes to draw on, and returns the axes."""

from leaklab.plots.growth_curve import growth
from leaklab.plots.icicle import allocation_tree
from leaklab.plots.icicle_html import HtmlFigure, allocation_tree_html
from leaklab.plots.label_growth import labels
from leaklab.plots.resident_set import resident_set
from leaklab.plots.resource_curves import curves
from leaklab.plots.retention_paths import retention
from leaklab.plots.suspect_sites import suspects
from leaklab.plots.weighed_series import weighed, weighed_shapes

__all__ = [
    "HtmlFigure",
    "allocation_tree",
    "allocation_tree_html",
    "curves",
    "growth",
    "labels",
    "resident_set",
    "retention",
    "suspects",
    "weighed",
    "weighed_shapes",
]


def __dir__() -> list[str]:
    return __all__
