"""Figures as small SVG: the same drawing, and the letters' outlines once for a page."""

import io
import re
from xml.etree import ElementTree

import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from leaklab.plots.svg_text import compact, outlines_svg, take_outlines


@pytest.fixture(scope="module")
def drawn() -> str:
    figure = Figure(figsize=(4, 3))
    ax = figure.add_subplot()
    ax.plot([0, 1, 2], [0.123456789, 1 / 3, 2], label="live heap")
    ax.set_xlabel("iterations")
    ax.legend()
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def test_it_is_less_and_shows_the_same(drawn: str) -> None:
    small = compact(drawn)
    assert len(small) < 0.8 * len(drawn)
    before, after = (list(ElementTree.fromstring(text).iter()) for text in (drawn, small))
    shapes = [
        [re.sub("{.*}", "", element.tag) for element in found if "metadata" not in element.tag]
        for found in (before, after)
    ]
    assert [tag for tag in shapes[1] if tag in ("path", "use")] == [
        tag for tag in shapes[0] if tag in ("path", "use")
    ]
    assert not re.search(r"\.\d{3}", "".join(re.findall(' d="[^"]*"', small)))


def test_outlines_are_kept_once_for_all_figures(drawn: str) -> None:
    outlines: dict[str, str] = {}
    figures = [take_outlines(compact(drawn), outlines) for _ in range(2)]
    page = outlines_svg(outlines) + "".join(figures)
    used = set(re.findall(r'href="#(DejaVu[\w-]+)"', page))
    defined = re.findall(r'id="(DejaVu[\w-]+)"', page)
    assert used == set(defined)
    assert len(defined) == len(set(defined))
    for part in (outlines_svg(outlines), *figures):
        ElementTree.fromstring(part)
    assert outlines_svg({}) == ""


def test_a_figure_of_a_notebook_says_what_is_written_in_it() -> None:
    from leaklab import from_series, plots
    from leaklab.jupyter import extension

    grows = {"rss_bytes": (range(200), [1e8 + 1e5 * n for n in range(200)])}
    run = from_series({**grows, "fd_count": (range(200), range(5, 205))}, name="costs $5")
    with pyplot.rc_context({"backend": "agg"}):
        growth = plots.growth(run, "rss_bytes").figure
        curves = plots.curves(run).figure
    try:
        assert growth.alt.startswith("resident set size by seconds: costs $5: leak, +97.7 KiB per")
        assert "open file descriptors" in curves.alt
        assert repr(growth) == f"Figure: {growth.alt}"
        for drawn in (extension._svg(growth), extension._png(growth)):
            assert drawn is not None
            assert drawn[1] == {"alt": growth.alt}
    finally:
        pyplot.close(growth)
        pyplot.close(curves)
