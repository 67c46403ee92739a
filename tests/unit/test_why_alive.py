"""ll.why_alive: a path for each holder of a live object."""

import shutil
import traceback

import pytest

import leaklab as ll
from leaklab.objgraph_picture import objgraph_dot
from leaklab.present.path_picture import paths_svg

CACHE = {}
REGISTRY = []


class Page:
    """Held in two places, and by a cycle of its own."""

    def __init__(self):
        self.me = self
        self.body = "x" * 5000

    def __eq__(self, other):
        raise AssertionError("no code of the object may run")

    __hash__ = None


@pytest.fixture(scope="module")
def answer():
    """One walk over all objects of this process, which takes seconds."""
    CACHE["page"] = Page()
    REGISTRY.append(CACHE["page"])
    try:
        return ll.why_alive(CACHE["page"])
    finally:
        REGISTRY.clear()


def test_each_holder_has_a_path(answer):
    paths = answer.holders["path"].tolist()
    assert any(path.endswith("CACHE[page]") for path in paths)
    assert any("REGISTRY → list item → " in path for path in paths)
    assert not any(".me" in path for path in paths)
    assert 5000 < answer.retained_bytes < 6500
    assert not answer.native
    assert "CACHE[page]" in str(answer)
    assert "<li><code>" in answer._repr_html_()


def test_a_local_of_the_caller_is_a_holder():
    only_here = Page()
    answer = ll.why_alive(only_here)
    assert answer.holders["path"].tolist() == [
        path for path in answer.holders["path"] if path.endswith("local only_here")
    ]


def test_what_nothing_holds_is_said():
    with pytest.raises(ll.LeaklabError, match="not found in the heap") as refused:
        ll.why_alive(str(object()) * 10)
    # What a notebook keeps of its last error is not the graph of the whole process.
    frames = [frame for frame, _ in traceback.walk_tb(refused.value.__traceback__)]
    assert len(frames) > 2
    assert not any("graph" in frame.f_locals for frame in frames)


def test_a_notebook_shows_a_picture_of_the_paths(answer):
    html = answer._repr_html_()
    assert "<svg" in html
    assert "CACHE[page]" in html.partition("<ul>")[0]
    assert "&lt;script&gt;" in paths_svg(["a → <script>"], "x")


def test_objgraphs_picture_where_graphviz_is():
    CACHE["page"] = Page()
    dot = objgraph_dot(CACHE["page"])
    assert "digraph ObjectGraph" in dot
    assert "Page" in dot
    assert "objgraph_picture" not in dot  # who asks is no holder
    if shutil.which("dot") is None:
        with pytest.raises(ll.LeaklabError, match="dot is not on the path"):
            ll.why_alive(CACHE["page"], picture="objgraph")
    else:
        assert "<svg" in ll.why_alive(CACHE["page"], picture="objgraph").svg
    with pytest.raises(ll.UsageError, match="allowed: own, objgraph"):
        ll.why_alive(CACHE["page"], picture="photo")
