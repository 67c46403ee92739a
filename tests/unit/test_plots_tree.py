"""The allocation tree: layout, still figure, packed page."""

import base64
import re
import time

import numpy as np
import pandas as pd
import pytest
import synthetic as make
from pages import unpacked

from leaklab import plots
from leaklab.errors import UsageError
from leaklab.findings.tree import AllocationTree
from leaklab.plots import icicle_layout, style, tree_packing
from leaklab.results.run import Run

HOSTILE = "</script><script>alert(1)</script>\"'&<!--\u202e\x00名"


def tree(rows, **columns):
    """A tree from (parent, function, origin, live bytes)."""
    nodes = pd.DataFrame(rows, columns=["parent", "function", "origin", "live_bytes"])
    nodes.insert(0, "node", np.arange(len(nodes)))
    nodes["file"] = [f"app/{name}.py" if name != "all" else "" for name in nodes["function"]]
    nodes["line"] = np.arange(len(nodes))
    nodes["growth_bytes"] = nodes["live_bytes"] // 2
    nodes["allocation_count"] = nodes["live_bytes"] // 10
    return AllocationTree(nodes.assign(**columns))


SMALL = tree(
    [
        (-1, "all", "", 1000),
        (0, "main", "target", 900),
        (0, "loader", "stdlib", 100),
        (1, "small", "site-packages", 200),
        (1, "large", "target", 600),
    ]
)


def random_tree(count, seed=0):
    random = np.random.default_rng(seed)
    parent = np.array([-1, *(int(random.integers(max(0, i - 40), i)) for i in range(1, count))])
    own = (random.pareto(1.1, count) * 300).astype(np.int64)
    for i in range(count - 1, 0, -1):
        own[parent[i]] += own[i]
    names = [f"function_{n}" for n in random.integers(0, max(2, count // 10), count)]
    return tree({"parent": parent, "function": names, "origin": "target", "live_bytes": own})


def labels(ax):
    return [text.get_text() for text in ax.texts]


def test_layout_nests_children_in_parents_widest_first():
    layout = icicle_layout.lay_out(SMALL.nodes, "live_bytes")
    assert list(layout.nodes["function"]) == ["all", "main", "large", "small", "loader"]
    assert list(layout.parent) == [-1, 0, 1, 1, 0]
    assert list(layout.depth) == [0, 1, 2, 2, 1]
    assert list(layout.left) == [0, 0, 0, 600, 900]
    assert list(layout.width) == [1000, 900, 600, 200, 100]


def test_shrinking_calls_have_no_width_in_growth():
    shrunk = tree([(-1, "all", "", 10), (0, "a", "target", 5)], growth_bytes=[40, -60])
    layout = icicle_layout.lay_out(shrunk.nodes, "growth_bytes")
    assert list(layout.width) == [100, 0]  # what others grew, and nothing for what shrank


def test_difference_shows_what_vanished():
    gone = tree([(-1, "all", "", 0), (0, "a", "target", 0)], before_bytes=[500, 500])
    assert list(icicle_layout.lay_out(gone.nodes, "difference").width) == [500, 500]


@pytest.mark.parametrize("limit", [3, 50, 400])
def test_pruning_keeps_totals_and_stays_a_tree(limit):
    nodes = random_tree(1000).nodes
    pruned = icicle_layout.prune(nodes, limit)
    assert len(pruned) < len(nodes)
    assert pruned["live_bytes"].iloc[0] == nodes["live_bytes"].iloc[0]
    assert (pruned["parent"].to_numpy()[1:] < np.arange(1, len(pruned))).all()
    own = icicle_layout.own_values(
        pruned["live_bytes"].to_numpy(float), pruned["parent"].to_numpy()
    )
    assert own.min() >= 0
    assert own.sum() == nodes["live_bytes"].iloc[0]
    assert icicle_layout.OTHERS in set(pruned["function"])


def test_still_tree_labels_what_is_wide_and_clips_the_rest():
    ax = plots.allocation_tree(SMALL, style.detached_axes(9, 3))
    assert "main app/main.py:1" in labels(ax)
    assert ax.get_title(loc="left") == "live bytes: 1000 B"
    widths = [p.get_extents().width for p in ax.collections[0].get_paths()]
    assert len(widths) == 5
    assert max(widths) == pytest.approx(1000, rel=0.01)
    shown = {text.get_text() for text in ax.get_legend().get_texts()}
    assert shown == {"target", "site-packages", "stdlib"}
    narrow = plots.allocation_tree(SMALL, style.detached_axes(1.6, 3))
    assert any(label.endswith("…") for label in labels(narrow))
    assert all(
        style.text_width_points(label, style.FONT_SIZE - 1) <= style.width_points(narrow)
        for label in labels(narrow)
    )


def test_difference_colours_more_and_less():
    both = tree(
        [(-1, "all", "", 300), (0, "more", "target", 300), (0, "gone", "target", 0)],
        before_bytes=[300, 0, 300],
    )
    ax = plots.allocation_tree(both, style.detached_axes())
    colours = {tuple(np.round(colour[:3], 2)) for colour in ax.collections[0].get_facecolors()}
    from matplotlib.colors import to_rgb

    for fill in (style.MORE_FILL, style.LESS_FILL, style.SAME_FILL):
        assert tuple(np.round(to_rgb(fill), 2)) in colours
    assert ax.get_title(loc="left") == "live bytes: 300 B before, 300 B after"


def test_a_very_deep_tree_folds_calls_that_only_pass_on():
    rows = [(-1, "all", "", 100)]
    rows += [(i, f"lib{i}", "site-packages", 100) for i in range(60)]
    rows += [(60, "leak", "target", 100)]
    ax = plots.allocation_tree(tree(rows), style.detached_axes())
    assert any(label.startswith(("… leak", "… lib59")) for label in labels(ax))
    assert ax.get_ylim()[0] < 30


def test_hostile_names_are_drawn_as_text():
    odd = tree([(-1, "all", "", 100), (0, f"$x{HOSTILE}" + "y" * 5000, "target", 100)])
    ax = plots.allocation_tree(odd, style.detached_axes())
    ax.figure.canvas.draw()
    assert r"\$x" in labels(ax)[1]


def test_an_empty_tree_says_so():
    ax = plots.allocation_tree(tree([(-1, "all", "", 0)]), style.detached_axes())
    assert "nothing recorded" in labels(ax)[0]
    page = plots.allocation_tree_html(tree([(-1, "all", "", 0)]))
    assert page.alt in page.document
    assert "the explain pass records it" in page.alt


def test_unknown_metric_is_refused_with_the_allowed_ones():
    with pytest.raises(UsageError, match="allowed: live_bytes, growth_bytes, allocation_count"):
        plots.allocation_tree(SMALL, metric="weight")
    with pytest.raises(UsageError, match="difference"):
        plots.allocation_tree_html(SMALL, metric="difference")


def test_packed_page_holds_the_names_and_columns():
    header, columns = unpacked(plots.allocation_tree_html(SMALL).document)
    assert header["functions"] == ["all", "main", "large", "small", "loader"]
    assert header["trees"] == [
        {"nodeCount": 5, "columns": ["live_bytes", "growth_bytes", "allocation_count"]}
    ]
    assert [metric["name"] for metric in header["metrics"]] == [
        "live_bytes",
        "growth_bytes",
        "allocation_count",
    ]
    assert list(columns[:5]) == [0, 1, 2, 3, 4]
    assert list(columns[20:30]) == [0, 0, 0, 1, 2, 0, 0, 0, 0, 0]  # depth steps, new frames


def test_varints_read_back():
    values = np.array([0, 1, 127, 128, 300, 2**31, 2**53])
    read, value, shift = [], 0, 0
    for byte in tree_packing.varints(values):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            read.append(value)
            value, shift = 0, 0
    assert read == list(values)


def test_nothing_of_a_target_becomes_markup():
    rows = [(-1, "all", "", 100), (0, HOSTILE, "target", 100)]
    figure = plots.allocation_tree_html(tree(rows))
    assert "alert(1)</script>" not in figure.document
    assert figure.document.count("<script") == 2
    assert figure.html.count("<iframe") == 1
    assert "<script" not in figure.html  # only inside srcdoc, escaped
    assert figure.document.isascii()
    header, _ = unpacked(figure.document)
    assert "\u202e" not in header["functions"][1]
    assert "\x00" not in header["functions"][1]


def test_page_forbids_every_request_and_has_a_still_stand_in():
    figure = plots.allocation_tree_html(SMALL)
    assert "default-src 'none'" in figure.document
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", figure.document)
    assert 'sandbox="allow-scripts allow-downloads"' in figure.html
    assert figure.still().get_figheight() < 2  # three rows, not three towers
    bundle = figure._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"].startswith("Allocation tree: 1000 B live in 5 calls")
    assert 'alt="Allocation tree' in bundle["text/html"]


def test_the_frame_is_as_high_as_the_rows_that_are_seen():
    def height(*live):
        chain = tree([(n - 1, f"f{n}", "target", bytes_) for n, bytes_ in enumerate(live)])
        return plots.allocation_tree_html(chain).height_pixels

    row = height(*[100] * 8) - height(*[100] * 7)
    assert 15 < row < 25
    assert height(*[10_000] * 5, *[1] * 30) == height(*[10_000] * 5)  # narrower than a pixel
    assert height(*[100] * 3) - 3 * row < 100  # title, controls and status
    assert height(*[100] * 50) == height(*[100] * 90) < 500


def test_a_tree_names_its_run():
    run = Run(make.run(sites={"keep": make.leak(60, 1000)}, meta={"name": "c", "variant": "fix"}))
    figure = plots.allocation_tree_html(run)
    assert '<p id="about">Allocation tree of c/fix: ' in figure.document
    (ax,) = figure.still().axes
    assert ax.get_title(loc="left").startswith("c/fix: live bytes: ")
    drawn = plots.allocation_tree(run, style.detached_axes())
    assert drawn.get_title(loc="left") == ax.get_title(loc="left")


def test_a_hundred_thousand_calls_pack_fast_and_small():
    large = random_tree(100_000)
    started = time.process_time()
    document = plots.allocation_tree_html(large).document
    assert time.process_time() - started < 5
    assert len(document) < 1_500_000
    assert len(plots.allocation_tree_html(large, node_limit=5000).document) < 200_000


def test_a_recorded_runs_tree_is_drawn():
    run = Run(make.run(sites={"keep": make.leak(60, 1000), "lib.py:parse<load": make.leak(60, 10)}))
    ax = plots.allocation_tree(run, style.detached_axes())
    assert any(label.startswith("keep app.py") for label in labels(ax))
    assert "keep" in plots.allocation_tree_html(run).document


def paths_table(*rows):
    columns = ["dump", "tree", "node", "parent", "kind", "step", "type", "count", "retained_bytes"]
    return pd.DataFrame(rows, columns=columns).assign(process=1, path="", fingerprint="")


HELD = Run(
    make.run(sites={"keep": make.leak(60, 1000)}).from_tables(
        {"name": "held", "schema_version": 1},
        paths=paths_table(
            (0, "dominator", 0, -1, "module", "old", "dict", 1, 10),
            (1, "path", 0, -1, "module", "app.PAGES", "dict", 1, 0),
            (1, "dominator", 0, -1, "module", "app.PAGES", "dict", 1, 900),
            (1, "dominator", 1, 0, "module", "value", "Page", 90, 800),
            (1, "dominator", 2, -1, "thread", "thread Thread-#: run()", "list", 1, 100),
        ),
    )
)


def test_retained_tree_is_the_last_graph_under_one_root():
    nodes = plots.retained_tree.retained_nodes(HELD.data)
    assert list(nodes["function"]) == [
        "all objects",
        "app.PAGES",
        "value",
        "thread Thread-#: run()",
    ]
    assert list(nodes["retained_bytes"]) == [1000, 900, 800, 100]
    assert list(nodes["object_count"]) == [92, 91, 90, 1]
    ax = plots.allocation_tree(HELD, style.detached_axes(9, 3), "retained_bytes")
    assert "value Page" in labels(ax)
    assert ax.get_title(loc="left") == "held: retained: 1000 B"


def test_interactive_tree_offers_the_retained_view_of_a_run_with_a_graph():
    header, _ = unpacked(plots.allocation_tree_html(HELD).document)
    assert [tree["nodeCount"] for tree in header["trees"]] == [1, 4]
    assert {m["name"]: m["tree"] for m in header["metrics"]}["retained_bytes"] == 1
    assert header["metrics"][0]["name"] == "retained_bytes", "there is no heap to show first"


def test_retained_view_without_a_graph_is_refused():
    with pytest.raises(UsageError, match="no object graph"):
        plots.allocation_tree(Run(make.run(rss=make.leak(9, 1))), metric="retained_bytes")


def test_import_machinery_is_folded_into_the_importing_module():
    rows = [
        (-1, "all", "", 100),
        (0, "<module>", "target", 100),
        (1, "_find_and_load", "stdlib", 90),
        (2, "exec_module", "stdlib", 80),
        (3, "library", "site-packages", 70),
    ]
    imported = tree(rows).nodes
    imported["file"] = ["", "app.py", *["stdlib/frozen importlib._bootstrap"] * 2, "lib.py"]
    folded = icicle_layout.without_import_machinery(imported)
    assert list(folded["function"]) == ["all", "<module>", "library"]
    assert list(folded["parent"]) == [-1, 0, 1]
    own = icicle_layout.own_values(folded["live_bytes"].to_numpy(float), folded["parent"])
    assert list(own) == [0, 30, 70]
