"""Rendered pages and the interactive tree, in a real browser, from disk."""

import io
import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import synthetic as make
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from leaklab import plots, report
from leaklab.catalogue.model import catalogue
from leaklab.findings.tree import AllocationTree
from leaklab.results.run import Run

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=\"parent.document.title='owned'\">'&"
MEBIBYTE = 2**20


def tree():
    rows = [
        (-1, "all", "", "", 0, 10),
        (0, "main", "app.py", "target", 3, 10),
        (1, "keep_page", "app/cache.py", "target", 7, 6),
        (1, HOSTILE, f"{HOSTILE}.py", "site-packages", 9, 3),
        (2, "parse_名", "stdlib/json/decoder.py", "stdlib", 11, 2),
    ]
    nodes = pd.DataFrame(rows, columns=["parent", "function", "file", "origin", "line", "live"])
    nodes.insert(0, "node", np.arange(len(nodes)))
    live = nodes.pop("live") * MEBIBYTE
    return AllocationTree(
        nodes.assign(
            live_bytes=live,
            growth_bytes=live // 2,
            allocation_count=[100, 100, 60, 30, 20],
            before_bytes=[MEBIBYTE * n for n in (8, 8, 2, 5, 2)],
        )
    )


@pytest.fixture
def tree_page(tmp_path):
    path = tmp_path / "tree.html"
    figure = plots.allocation_tree_html(tree(), metric="live_bytes")
    path.write_text(f"<!doctype html><title>mine</title>{figure.html}")  # no charset, on purpose
    return path


@pytest.mark.parametrize("width", [360, 700, 1300])
def test_the_frame_is_filled_by_what_it_shows(look, tree_page, width):
    frame = look(tree_page, width=width).tree()
    inside, needed, stage = frame.evaluate(
        "[innerHeight, document.documentElement.scrollHeight,"
        " document.querySelector('.stage').clientHeight]"
    )
    assert needed <= inside
    rows = 4 * 19
    assert rows <= stage < 2 * rows
    assert frame.locator("#about").inner_text().startswith("Allocation tree: 10")
    frame.locator("#icicle").hover(position={"x": 60, "y": 25})
    tip = frame.locator("#tip").bounding_box()
    outside = frame.frame_element().bounding_box()
    assert outside["y"] <= tip["y"]
    assert tip["y"] + tip["height"] <= outside["y"] + outside["height"]


@pytest.mark.parametrize(("scheme", "light"), [("light", "false"), ("dark", "true")])
def test_the_tree_is_as_dark_as_jupyterlabs_theme(look, tree_page, scheme, light):
    looked = look(tree_page, scheme=scheme)
    looked.page.evaluate(f"document.body.dataset.jpThemeLight = {json.dumps(light)}")
    looked.tree()
    frame = looked.page.locator("iframe").bounding_box()
    corner = {"x": frame["x"] + 1, "y": frame["y"] + 1, "width": 1, "height": 1}
    with Image.open(io.BytesIO(looked.page.screenshot(clip=corner))) as shot:
        paper = sum(shot.convert("RGB").getpixel((0, 0))) / 3
    assert paper > 225 if light == "true" else paper < 60


def test_tree_is_zoomed_by_click_and_keyboard(look, tree_page):
    looked = look(tree_page)
    frame = looked.tree()
    canvas = frame.locator("#icicle")
    zoomed = lambda: frame.evaluate("document.body.dataset.zoomed")  # noqa: E731
    canvas.click(position={"x": 100, "y": 47})  # third row: the widest child of main
    assert zoomed() == "keep_page  app/cache.py:7"
    canvas.press("Escape")
    assert zoomed() == "main  app.py:3"
    canvas.press("Home")
    canvas.press("ArrowDown")
    canvas.press("ArrowDown")
    canvas.press("ArrowRight")
    status = frame.locator("#status").inner_text()
    assert status.startswith(HOSTILE)
    assert "live bytes: 3.00 MiB, 30.0 %" in status
    assert "5.00 MiB" in status  # before
    canvas.press("Enter")
    assert zoomed().startswith(HOSTILE)
    assert looked.page.title() == "mine"


def test_tree_says_what_is_under_the_pointer(look, tree_page):
    frame = look(tree_page).tree()
    frame.locator("#icicle").hover(position={"x": 30, "y": 47})
    tip = frame.locator("#tip").inner_text().splitlines()
    assert tip[:2] == ["keep_page", "app/cache.py:7 (target)"]
    assert "live bytes: 6.00 MiB, 60.0 %, own 4.00 MiB" in tip
    assert "change: +4.00 MiB" in tip


def test_search_highlights_and_counts_nested_matches_once(look, tree_page):
    frame = look(tree_page).tree()
    frame.locator("#search").fill("PY")  # in every file, nested
    assert frame.locator("#found").inner_text() == "4 calls, 10.0 MiB, 100.0 %"
    frame.locator("#search").fill("json")
    assert frame.locator("#found").inner_text() == "1 call, 2.00 MiB, 20.0 %"
    frame.locator("#search").press("Enter")
    assert frame.evaluate("document.body.dataset.zoomed") == "keep_page  app/cache.py:7"
    assert frame.locator("#status").inner_text().startswith("parse_名")
    frame.locator("#search").fill("nowhere")
    assert frame.locator("#found").inner_text() == "no call"


def test_metrics_switch_and_difference_has_its_own_legend(look, tree_page):
    frame = look(tree_page).tree()
    choices = frame.locator("#metric option").all_inner_texts()
    assert choices == [
        "live bytes",
        "growth",
        "allocations",
        "live bytes before",
        "before / after",
    ]
    assert frame.locator("#legend").is_visible()
    frame.locator("#metric").select_option("difference")
    assert frame.locator("#change").is_visible()
    assert not frame.locator("#legend").is_visible()
    red, _, blue, _ = frame.evaluate(
        """() => [...document.getElementById('icicle').getContext('2d')
        .getImageData(60, 47, 1, 1).data]"""
    )
    assert red > blue  # more after: orange


@pytest.mark.parametrize(("button", "begin"), [("png", b"\x89PNG"), ("svg", b"<svg xmlns")])
def test_what_is_shown_can_be_saved(look, tree_page, tmp_path, button, begin):
    looked = look(tree_page)
    frame = looked.tree()
    with looked.page.expect_download() as download:
        frame.locator(f"#{button}").click()
    target = tmp_path / download.value.suggested_filename
    download.value.save_as(target)
    assert target.name == f"allocation-tree.{button}"
    assert target.read_bytes().startswith(begin)
    if button == "svg":
        assert b"<img" not in target.read_bytes()
        assert "&#60;img src=x" in target.read_text()


def test_tree_is_named_and_reached_by_keyboard(look, tree_page):
    looked = look(tree_page)
    frame = looked.tree()
    for _ in range(12):
        looked.page.keyboard.press("Tab")
        if frame.evaluate("document.activeElement?.id") == "icicle":
            break
    assert frame.evaluate("document.activeElement.id") == "icicle"
    canvas = frame.locator("#icicle")
    assert canvas.get_attribute("aria-label").startswith("Allocation tree: 10 MiB live in 5 calls")
    assert frame.locator("#status").get_attribute("aria-live") == "polite"


def test_wheel_zooms_a_focused_tree_and_scrolls_the_page_past_an_unfocused_one(look, tree_page):
    looked = look(tree_page)
    frame = looked.tree()
    frame.locator("#icicle").hover(position={"x": 30, "y": 10})
    pixels = "document.getElementById('icicle').toDataURL()"
    before = frame.evaluate(pixels)
    looked.page.mouse.wheel(0, -400)
    frame.wait_for_function("document.getElementById('status').textContent.includes('Ctrl')")
    assert frame.evaluate(pixels) == before
    frame.locator("#icicle").focus()
    looked.page.mouse.wheel(0, -400)
    frame.wait_for_function(f"{pixels} !== {json.dumps(before)}")


def test_a_hundred_thousand_calls_are_ready_within_a_second(look, tmp_path):
    random = np.random.default_rng(0)
    count = 100_000
    parent = np.array([-1, *(int(random.integers(max(0, i - 40), i)) for i in range(1, count))])
    own = (random.pareto(1.1, count) * 300).astype(np.int64)
    for i in range(count - 1, 0, -1):
        own[parent[i]] += own[i]
    nodes = pd.DataFrame({"node": range(count), "parent": parent, "live_bytes": own})
    functions = random.integers(0, 8000, count)
    nodes["function"] = [f"function_{n}" for n in functions]
    nodes["file"] = [f"package/module_{n % 400}.py" for n in functions]
    nodes["line"] = functions * 3 % 1000
    nodes["origin"] = "target"
    nodes["growth_bytes"] = own // 3
    nodes["allocation_count"] = own // 50 + 1
    figure = plots.allocation_tree_html(AllocationTree(nodes))
    path = figure.save(tmp_path / "tree.html")
    assert path.stat().st_size < 1_500_000
    page = look(path).page
    page.wait_for_selector("html[data-ready]", timeout=20_000)
    assert float(page.evaluate("document.documentElement.dataset.ready")) < 1000 * SLACK


# The goal is one second on a quiet machine; a test that shares two cores gets some more.
SLACK = 4


def recorded(variant="before", rate=20_000.0):
    data = make.run(
        rss=make.leak(120, rate),
        sites={"build_page": make.leak(120, rate), "x" * 300 + "名": make.leak(120, rate / 9)},
        fd_count=make.leak(120, 1.0),
        meta={"name": "unbounded-cache", "variant": variant, "run_id": "1"},
    )
    return Run(data)


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a case and of a run."""
    folder = tmp_path_factory.mktemp("pages")
    case = catalogue()["unbounded-cache"]
    runs = {"before": recorded(), "documented_fix": recorded("documented_fix", 0.0)}
    return (
        report.render_case(case, runs, folder / "cases"),
        report.render_run(runs["before"], folder / "run" / "run.html"),
    )


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_case_and_run_pages_fit_laptop_and_phone(look, pages, width, scheme):
    for path in pages:
        looked = look(path, width=width, scheme=scheme)
        assert looked.tree().locator("#icicle").is_visible()
        assert fits(looked.page)
        for drawing in looked.page.locator("figure:not(.tree-still) > svg").all():
            box = drawing.bounding_box()
            assert box["width"] > 250
            assert box["height"] > 60
        paper = looked.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize(("width", "is_whole"), [(1300, True), (1000, False)])
def test_a_wide_table_has_the_margin_before_it_is_cut(look, pages, width, is_whole):
    page = look(pages[1], width=width).page
    table = page.locator(".scroll").first
    table.locator("table").evaluate("table => table.style.minWidth = '66rem'")
    assert table.evaluate("box => box.scrollWidth <= box.clientWidth") == is_whole
    assert fits(page)


def test_figures_take_the_pages_ink_in_the_dark(look, pages):
    looked = look(pages[1], scheme="dark")
    colour = looked.page.evaluate(
        "getComputedStyle(document.querySelector('figure svg [style*=currentColor]')).color"
    )
    assert min(map(int, re.findall(r"\d+", colour)[:3])) > 120


def test_index_is_searched_in_the_page(look, tmp_path):
    entries = [report.index_entry(case, {}) for case in catalogue().values()]
    looked = look(report.render_index(entries, tmp_path), width=390)
    page = looked.page
    assert fits(page)
    page.locator("#search").fill("len(str unbounded")
    assert page.locator("#count").inner_text() == f"1 of {len(entries)} cases"
    assert page.locator(".card:visible h3").all_inner_texts() == ["Unbounded in-memory cache"]
    assert page.locator("tr.item:visible").count() >= 1
    page.locator("#search").fill("no such leak")
    assert page.locator("#nothing").is_visible()
    page.reload()
    assert page.locator("#search").input_value() == "no such leak"  # the address keeps it


def test_notebook_page_shows_figures_trees_and_unfolds_code(look, tmp_path):
    figure = plots.allocation_tree_html(tree())
    cell = new_code_cell(
        "tree",
        outputs=[new_output("display_data", data=figure._repr_mimebundle_())],
    )
    notebook = new_notebook(cells=[new_markdown_cell("# T\n\n## One\n\n## Two"), cell])
    nbformat.write(notebook, tmp_path / "n.ipynb")
    looked = look(report.render_notebook(tmp_path / "n.ipynb", tmp_path / "n.html"))
    assert looked.tree().locator("#icicle").is_visible()
    assert not looked.page.locator("details.code pre").is_visible()
    looked.page.locator("#code").click()
    assert looked.page.locator("details.code pre").is_visible()
    looked.page.get_by_role("link", name="Two").click()
    assert looked.page.url.endswith("#Two")


def test_page_prints_to_pdf_with_still_figures(look, pages):
    page = pages[1]
    looked = look(page, width=PAPER_WIDTH)
    looked.page.emulate_media(media="print")
    assert looked.page.locator(".tree-still").is_visible()
    # What stands between a heading and its figure would let them part.
    assert looked.page.locator("h2#tree + p + div").bounding_box() is None
    assert not looked.page.locator("iframe").is_visible()
    # What is folded away on the screen, the code of the second suspect, is on paper.
    assert looked.page.locator("details ol").last.bounding_box()["height"] > 0
    pdf = report.to_pdf(page)
    assert pdf == page.with_suffix(".pdf")
    assert pdf.read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in page.parent.iterdir()) == ["run.html", "run.pdf"]


# A4 without its margins.
PAPER_WIDTH = 690


def test_what_is_wider_than_paper_would_shrink_the_whole_document(look, pages, tmp_path):
    source = "return json.loads(USAGE_FILE.read_text(encoding='utf-8')) or DEFAULT_USAGE_OF_A_DAY"
    frame = pd.DataFrame(
        {"file": ["site-packages/a_package/a_module.py"], "source": [source], "rate": [51.133333]}
        | {f"column_{n}": [123456.789] for n in range(3)}
    )
    shown = new_output("display_data", data={"text/html": frame.to_html()})
    code = new_output("display_data", data={"text/html": plots.allocation_tree_html(tree()).html})
    cell = new_code_cell("frame", outputs=[shown, code])
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "n.ipynb")
    notebook = report.render_notebook(tmp_path / "n.ipynb", tmp_path / "n.html")
    for path in (*pages, notebook):
        looked = look(path, width=PAPER_WIDTH)
        looked.page.emulate_media(media="print")
        assert fits(looked.page), path
    still = looked.page.locator(".out img")  # the frame's room is the still picture's
    room = looked.page.locator(".out > div").last.bounding_box()
    assert room["height"] < still.bounding_box()["height"] + 20
