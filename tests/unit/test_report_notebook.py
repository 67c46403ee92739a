"""Notebook pages: outputs in their one form, errors visible, size kept, nothing requested."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pages import assert_self_contained

from leaklab import report
from leaklab.plots import style
from leaklab.report.notebook_output import cell_outputs

SVG = f'<?xml version="1.0"?><!DOCTYPE svg><svg width="9"><path fill="{style.INK}"/></svg>'


def display(**forms):
    data = {name.replace("__", "/").replace("svg", "svg+xml"): text for name, text in forms.items()}
    return new_output("display_data", data=data)


def page(*cells):
    return report.notebook_html(new_notebook(cells=list(cells)), title="A title")


def test_page_has_contents_folded_code_and_outputs(tmp_path):
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Leaks <em>here</em>\n\nSee `x`.\n\n## First\n\ntext"),
            new_code_cell("iterations = 5", metadata={"tags": ["parameters"]}),
            new_markdown_cell("## Second"),
            new_code_cell("print(1 < 2)", outputs=[new_output("stream", text="one < two\n")]),
        ]
    )
    source = tmp_path / "story.ipynb"
    nbformat.write(notebook, source)
    target = report.render_notebook(source, tmp_path / "out" / "story.html")
    html = target.read_text()
    assert_self_contained(html)
    assert "<title>story</title>" in html
    assert re.findall(r'<li class="level2"><a href="#([^"]+)">', html) == ["First", "Second"]
    assert '<details class="code"><summary>Parameters</summary>' in html
    assert '<details class="code"><summary>Code</summary>' in html
    assert "one &lt; two" in html


def test_figures_follow_the_pages_ink_and_have_alt_text():
    cell = new_code_cell("f", outputs=[display(image__svg=SVG, text__plain="<Figure of growth>")])
    html = page(cell)
    assert '<svg role="img" aria-label="&lt;Figure of growth&gt;" width="9">' in html
    assert 'fill="currentColor"' in html
    assert "<?xml" not in html


def test_html_comes_before_images_and_text():
    cell = new_code_cell("t", outputs=[display(text__html="<b>tree</b>", image__png="QUJD")])
    assert "<b>tree</b>" in page(cell)
    assert "QUJD" not in page(cell)


def test_unknown_forms_are_left_out():
    output = new_output("display_data", data={"application/vnd.x+json": {"a": 1}})
    assert cell_outputs(new_code_cell("x", outputs=[output])) == []


def test_an_error_is_shown_where_the_notebook_stopped():
    trace = ["\x1b[0;31mZeroDivisionError\x1b[0m", "division <by> zero"]
    error = new_output("error", ename="ZeroDivisionError", evalue="division", traceback=trace)
    html = page(new_code_cell("1/0", outputs=[error]))
    assert '<div class="out error"><pre>ZeroDivisionError\ndivision &lt;by&gt; zero</pre>' in html


def test_progress_lines_keep_their_last_state_only():
    streams = [new_output("stream", text=text) for text in ("10 %\r50 %", "\r100 %\n", "done\n")]
    html = page(new_code_cell("x", outputs=streams))
    assert "<pre>100 %\ndone\n</pre>" in html
    assert "50 %" not in html


def test_a_page_says_nothing_of_recordings_under_way():
    text = "before\n\rdemo: measure pass, 0.1 s\rdemo: recorded after 2.0 s\nafter\n"
    html = page(new_code_cell("x", outputs=[new_output("stream", text=text)]))
    assert "<pre>before\nafter\n</pre>" in html
    only = new_output("stream", text="\rdemo: recorded after 2.0 s\n")
    assert "<pre>" not in page(new_markdown_cell("x"), new_code_cell("", outputs=[only]))


def test_tags_hide_cells_and_code():
    html = page(
        new_code_cell("hidden = 1", metadata={"tags": ["remove-cell"]}),
        new_code_cell("unseen()", metadata={"tags": ["remove-input"]},
                      outputs=[new_output("stream", text="seen")]),
    )  # fmt: skip
    assert "hidden" not in html.split("<main>")[1]
    assert "unseen" not in html
    assert "seen" in html


@pytest.mark.parametrize("megabytes", [3, 12])
def test_a_page_stays_under_two_megabytes(megabytes):
    large = "<p>" + "x" * (megabytes * 1_000_000) + "</p>"
    html = page(
        new_code_cell("a", outputs=[display(text__html=large, image__png="U1RJTEw=")]),
        new_code_cell("b", outputs=[display(text__html=large)]),
        new_code_cell("c", outputs=[display(text__html="<p>small</p>")]),
    )
    assert len(html.encode()) < 2_000_000
    assert "U1RJTEw=" in html
    assert f"An output of {megabytes}.0 MB is left out" in html
    assert "<p>small</p>" in html


def test_endless_text_is_cut_in_the_middle():
    text = "begin " + "y" * 200_000 + " end"
    html = page(new_code_cell("x", outputs=[new_output("stream", text=text)]))
    assert "characters left out]" in html
    assert "begin" in html
    assert " end" in html
    assert len(html) < 150_000


def test_a_notebook_without_cells_is_a_page():
    assert "A title" in page()


def test_long_progress_is_folded_and_results_are_not():
    progress = new_output("stream", name="stderr", text="recording\n" * 40)
    result = new_output("stream", name="stdout", text="result\n" * 40)
    html = page(new_code_cell("x", outputs=[progress, result]))
    assert "<details><summary>40 lines of messages</summary>" in html
    assert html.count("<details><summary>") == 1
