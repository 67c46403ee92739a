"""Suspects with sparklines, and retention paths."""

import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import synthetic as make

import leaklab as ll
from leaklab import UsageError, plots
from leaklab.plots import retention_paths, style
from leaklab.present.text import run_text
from leaklab.results.run import Run

COUNT = 120


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_each_suspect_has_name_share_curve_and_rate():
    sites = {"keep": make.leak(COUNT, 9000), "other": make.leak(COUNT, 1000)}
    ax = plots.suspects(Run(make.run(sites=sites)), style.detached_axes(9, 2))
    assert "1. keep" in texts(ax)
    assert "app.py:10" in texts(ax)
    assert "+8.79 KiB per iteration" in texts(ax)
    (curve, _) = ax.child_axes
    live = curve.lines[0].get_ydata()
    assert live[-1] - live[0] == 9000 * (COUNT - 1)
    first, second = (bar for bar in ax.patches if bar.get_width() > 0)
    assert first.get_width() / second.get_width() == pytest.approx(9)


def test_no_suspects_is_said_in_words():
    ax = plots.suspects(Run(make.run(fd_count=make.steady(COUNT, 3))), style.detached_axes())
    assert texts(ax) == ["no allocation site kept growing after warm-up"]


class Held:
    """A run whose retention table is given."""

    data = make.run(fd_count=make.steady(COUNT, 3))  # without object graphs

    def __init__(self, *paths):
        columns = ("path", "accumulation_point", "type", "growth_count", "growth_bytes")
        self.table = pd.DataFrame(paths, columns=list(columns))

    def retention(self):
        return self.table.assign(role="main")

    def verdict(self):
        return SimpleNamespace(verdict="inconclusive", resources=[])


def test_retention_path_shows_root_object_and_where_it_piles_up():
    run = Held(("module app.cache → PAGES → [*] → Page", "PAGES", "Page", 200, 4 * 2**20))
    ax = plots.retention(run, style.detached_axes(9, 1))
    assert [t for t in texts(ax) if t != "›"][:4] == ["module app.cache", "PAGES", "[*]", "Page"]
    assert "+4 MiB" in texts(ax)
    assert "200 more: Page" in texts(ax)
    (accumulation,) = [p for p in ax.patches if p.get_gid() == "accumulation"]
    assert accumulation.get_x() > style.text_width_points("module app.cache", 8)


def test_retention_counts_as_the_text_does():
    ax = plots.retention(
        Held(("root → CACHE → dict", "", "Node", 1816, None)), style.detached_axes(9, 1)
    )
    assert "1,816 more: Node" in texts(ax)


def test_endless_retention_paths_keep_both_ends_and_stay_in_their_row():
    path = " → ".join(["module " + "m" * 200, *(f"attribute_{i}" for i in range(80)), "名$" * 90])
    ax = plots.retention(Held((path, "", "Node", None, None)), style.detached_axes(9, 1))
    ax.figure.canvas.draw()
    boxes = [p for p in ax.patches if hasattr(p, "get_boxstyle")]
    assert max(box.get_x() + box.get_width() for box in boxes) <= style.width_points(ax) * 0.8
    assert "…" in texts(ax)


def test_a_long_name_takes_the_room_that_short_ones_leave_and_stays_marked():
    holder = "package.subpackage.module.Registry.instances_by_name_and_version"
    path = f"{holder} → OrderedDict value → package.FigureManager"
    ax = plots.retention(Held((path, holder, "Node", 9, 900)), style.detached_axes(9, 1))
    first, middle, last = [t for t in texts(ax) if "›" not in t][:3]
    assert (middle, last) == ("OrderedDict value", "package.FigureManager")
    assert first.endswith("…")
    assert holder.startswith(first[:20])
    (accumulation,) = [p for p in ax.patches if p.get_gid() == "accumulation"]
    assert accumulation.get_x() < 2


def test_the_terminal_tells_each_line_by_the_figures_of_the_drawing():
    run = Run(make.run(sites={"lib.py:encode": make.leak(COUNT, 4000),
                              "keep<handle": make.leak(COUNT, 9000),
                              "index<handle": make.leak(COUNT, 2000)}))  # fmt: skip
    drawn, told = texts(plots.suspects(run, style.detached_axes(9, 2))), run_text(run)
    rows = [text for text in drawn if re.match(r"\d\. ", text)]
    for name in rows:
        rate = drawn[drawn.index(name) + 2].removeprefix("+").replace(" per ", "/")
        assert re.search(rf"{re.escape(name)} .*{re.escape(rate)}", told), (name, rate, told)
    assert len(rows) == 3


def test_retention_says_between_which_marks_it_grew():
    store = Path(__file__).parents[2] / "data" / "reference.zip"
    run = ll.case("unbounded-cache").record("before", recorded=str(store))
    ax = plots.retention(run, style.detached_axes(9, 1))
    (span,) = [text.get_text() for text in ax.texts if text.get_gid() == "span"]
    first, last = map(int, re.findall(r"marks (\d+) and (\d+), in \d object graphs", span)[0])
    marks = run.data.graph_dumps["mark"].dropna().astype(int)
    assert {first, last} <= set(marks)
    assert last == marks.max()


@pytest.mark.parametrize(
    ("count", "mark_count", "event", "said"),
    [
        (0, 9, "note", "no object graph could be taken: too late"),
        (0, 9, "graphs-unread", "not measured: the recording was interrupted"),
        (1, 9, "note", "one object graph was taken"),
        (3, 9, "note", "one of 3 object graphs"),
        (3, 1000, "note", "not measured: the last object graph is of iteration 3 of 1,000"),
    ],
)
def test_no_retention_is_said_with_the_reason(count, mark_count, event, said):
    held = Held()
    marks = [None, *range(1, count + 1)]
    states, reasons = ["failed", *["complete"] * count], ["too late", *[None] * count]
    dumps = pd.DataFrame({"state": states, "reason": reasons, "mark": marks})
    meta = {"events": [{"kind": event}], "processes": [{"mark_count": mark_count}]}
    held.data = SimpleNamespace(graph_dumps=dumps, meta=meta)
    (text,) = texts(plots.retention(held, style.detached_axes()))
    assert text.startswith("no retention path: ")
    assert said in text


def test_a_holder_of_next_to_nothing_is_not_drawn_beside_a_leak():
    held = Held(("logging._handlers", "_handlers", "dict", 8, 900.0))
    held.table = held.table.assign(rate=4.5, suspect_rank=None)
    leak = SimpleNamespace(name="heap_bytes", verdict="leak", role="main", rate=250_000.0)
    held.verdict = lambda: SimpleNamespace(verdict="leak", resources=[leak])
    (text,) = texts(plots.retention(held, style.detached_axes()))
    assert "no holder of what leaks was seen" in text


def test_a_name_is_no_run_and_the_module_offers_its_figures_only():
    with pytest.raises(UsageError, match=r"a name, no run: leak; open it first: ll.open\('leak'\)"):
        plots.growth("leak")
    assert dir(plots) == sorted(plots.__all__)


def test_steps_of_a_path():
    assert retention_paths.steps("a → b['x → y'] -> c") == ["a", "b['x", "y']", "c"]
