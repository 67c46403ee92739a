"""ll.why_alive: a path for each holder of a live object."""

import json
import shutil
from pathlib import Path

import pytest
from own_process import printed_by

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


# In a process of its own: it walks over all objects there are, and beside other tests these are
# all that anything has imported.
PROGRAM = """
import json, traceback
import leaklab as ll
from test_why_alive import CACHE, REGISTRY, Page

def held_by_a_local():
    only_here = Page()
    return ll.why_alive(only_here).holders["path"].tolist()

def held_by_nothing():
    try:
        ll.why_alive(str(object()) * 10)
    except ll.LeaklabError as problem:
        frames = [frame for frame, _ in traceback.walk_tb(problem.__traceback__)]
        graphs = any("graph" in frame.f_locals for frame in frames)
        return {"nothing": str(problem), "frames": len(frames), "graphs": graphs}

CACHE["page"] = Page()
REGISTRY.append(CACHE["page"])
answer = ll.why_alive(CACHE["page"])
print(json.dumps({
    "paths": answer.holders["path"].tolist(),
    "retained_bytes": answer.retained_bytes,
    "native": answer.native,
    "text": str(answer),
    "html": answer._repr_html_(),
    "local": held_by_a_local(),
    **held_by_nothing(),
}))
"""


@pytest.fixture(scope="module")
def answer():
    """What is said of a page that is held in two places, of a local one and of one held nowhere."""
    return json.loads(printed_by(PROGRAM, Path(__file__).parent))


def test_each_holder_has_a_path(answer):
    assert any(path.endswith("CACHE[page]") for path in answer["paths"])
    assert any("REGISTRY → list item → " in path for path in answer["paths"])
    assert not any(".me" in path for path in answer["paths"])
    assert 5000 < answer["retained_bytes"] < 6500
    assert answer["native"] is False
    assert "CACHE[page]" in answer["text"]
    assert "<li><code>" in answer["html"]


def test_a_local_of_the_caller_is_a_holder(answer):
    assert answer["local"]
    assert all(path.endswith("local only_here") for path in answer["local"])


def test_what_nothing_holds_is_said(answer):
    assert "not found in the heap" in answer["nothing"]
    # What a notebook keeps of its last error is not the graph of the whole process.
    assert answer["frames"] > 2
    assert answer["graphs"] is False


def test_a_notebook_shows_a_picture_of_the_paths(answer):
    assert "<svg" in answer["html"]
    assert "CACHE[page]" in answer["html"].partition("<ul>")[0]
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
