"""Resident memory, stacked."""

import numpy as np
import pytest
import synthetic as make

from leaklab import plots
from leaklab.plots import style
from leaklab.results.run import Run

COUNT = 60


def test_parts_stack_up_to_the_resident_set():
    run = Run(
        make.run(
            rss=make.leak(COUNT, 1e5),
            malloc_used_bytes=make.steady(COUNT, 20e6),
            malloc_free_bytes=make.leak(COUNT, 1e5),
            rss_file_bytes=make.steady(COUNT, 8e6),
        )
    )
    ax = plots.resident_set(run, style.detached_axes())
    areas = {area.get_gid(): area for area in ax.collections}
    assert list(areas) == [
        "live native memory",
        "free inside malloc",
        "mapped files",
        "rest",
    ]
    upper = max(area.get_paths()[0].get_extents().y1 for area in areas.values())
    assert upper == pytest.approx(50e6 + 1e5 * (COUNT - 1))
    assert np.max(ax.lines[0].get_ydata()) == pytest.approx(upper)


def test_parts_beyond_the_resident_set_are_cut_to_it():
    run = Run(make.run(rss=make.steady(COUNT), malloc_used_bytes=make.steady(COUNT, 90e6)))
    ax = plots.resident_set(run, style.detached_axes())
    assert [area.get_gid() for area in ax.collections] == ["live native memory"]
    assert ax.collections[0].get_paths()[0].get_extents().y1 == pytest.approx(50e6)


def test_without_rss_it_says_so():
    ax = plots.resident_set(Run(make.run(fd_count=make.steady(9, 1))), style.detached_axes())
    assert ax.texts[0].get_text() == "resident set size: not measured"
