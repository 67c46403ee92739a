"""Figures as small SVG: the same drawing, and the letters' outlines once for a page."""

import io
import re
from xml.etree import ElementTree

import pytest
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
