"""Growth and resource curves: what is drawn, on synthetic runs."""

import re

import numpy as np
import pandas as pd
import pytest
import synthetic as make
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from leaklab import from_series, plots
from leaklab.errors import UsageError
from leaklab.plots import resource_curves, style
from leaklab.present import units
from leaklab.report import drawings
from leaklab.results.run import Run

COUNT = 120


def recorded(variant="before", rate=20_000.0, **resources):
    rss = make.warm_up(COUNT, 4e6, half_life=5) + make.leak(COUNT, rate) + make.noise(COUNT, 2e4)
    return Run(make.run(rss=rss, meta={"name": "cache", "variant": variant}, **resources))


def texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def by_gid(ax, gid):
    return [child for child in ax.get_children() if child.get_gid() == gid]


def test_growth_draws_each_run_with_its_rate_and_verdict():
    runs = [recorded(), recorded("documented_fix", 0.0)]
    ax = plots.growth(runs, "rss_bytes", style.detached_axes())
    before, after = texts(ax)
    assert before.startswith("before: leak, +19.")
    assert "KiB per iteration" in before
    assert after.startswith("documented_fix: bounded")
    assert [len(line.get_xdata()) for line in ax.lines if line.get_gid() is None] == [COUNT, COUNT]
    assert ax.get_xlabel() == "iterations"
    assert len(by_gid(ax, "warm-up")) == 1
    assert by_gid(ax, "band")


def test_a_long_series_is_told_in_the_pace_of_its_reason():
    minutes = np.arange(600.0)
    run = from_series({"rss_bytes": (60 * minutes, 50e6 + (minutes + minutes % 3) * 2**20)})
    (legend,) = texts(plots.growth(run, "rss_bytes", style.detached_axes()))
    assert re.match(r"series: leak, \+60 MiB per hour \(5\d\.\d MiB to 6\d MiB\)", legend)
    assert "leak, +60 MiB per hour" in drawings.growth([run], "rss_bytes")


def test_fitted_line_has_the_rate_of_the_verdict():
    run = recorded()
    ax = plots.growth(run, "rss_bytes", style.detached_axes())
    (fitted,) = by_gid(ax, "rate")
    x, y = fitted.get_data()
    rate = run.verdict().resource("rss_bytes").rate
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(rate)


def test_fitted_line_of_a_bent_curve_stays_beside_it():
    faster = 1e6 + 40e6 * (np.arange(COUNT) / COUNT) ** 4
    run = Run(make.run(sites={"keep": faster}, meta={"name": "faster"}))
    ax = plots.growth(run, "heap_bytes", style.detached_axes())
    (fitted,) = by_gid(ax, "rate")
    x, y = fitted.get_data()
    assert y.min() > faster.min() - 0.1 * np.ptp(faster)
    assert x[-1] == COUNT
    rate = run.verdict().resource("heap_bytes").rate
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(rate)
    end = faster[int(x[0]) - 1 :]
    assert abs(y.mean() - end.mean()) < 0.1 * np.ptp(end)


@pytest.mark.parametrize("background", ["white", "#14171b"])
def test_the_rate_is_seen_on_a_run_that_lies_on_it(background):
    straight = Run(make.run(sites={"keep": make.leak(COUNT, 1000.0)}, meta={"name": "cache"}))
    ax = plots.growth(straight, "heap_bytes", style.detached_axes())
    figure = style.figure_of(ax)
    figure.set_facecolor(background)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[::-1, :, :3].astype(int)
    (fitted,) = by_gid(ax, "rate")
    (left, bottom), (right, top) = ax.transData.transform(np.transpose(fitted.get_data()))
    x = np.linspace(left + 9, right - 9, 2000)
    y = bottom + (top - bottom) * (x - left) / (right - left)
    on_it = picture[y.astype(int), x.astype(int)]
    dark = (on_it.max(axis=1) < 90).mean()
    run = (abs(on_it - 255 * np.array(to_rgb(style.series_colour(0)))).max(axis=1) < 60).mean()
    assert dark > 0.2, (dark, run)
    assert run > 0.2, (dark, run)


def test_growth_names_a_run_that_did_not_measure_the_resource():
    other = Run(make.run(fd_count=make.steady(COUNT, 5), meta={"name": "x", "variant": "odd"}))
    ax = plots.growth([recorded(), other], "rss_bytes", style.detached_axes())
    assert texts(ax)[1] == "odd: not measured"


def test_growth_without_any_measurement_says_so_instead_of_empty_axes():
    ax = plots.growth(recorded(), "thread_count", style.detached_axes())
    assert ax.texts[0].get_text() == "threads: not measured"
    assert not ax.axison


@pytest.mark.parametrize("drawn", [plots.growth, lambda run, name: plots.curves(run, [name])])
def test_a_resource_that_there_is_not_is_refused(drawn):
    with pytest.raises(UsageError, match="unknown resource: thread_cuont; allowed: rss_bytes,"):
        drawn(recorded(), "thread_cuont")


@pytest.mark.parametrize("count", [1, 2])
def test_few_points_are_markers(count):
    run = Run(make.run(rss=make.steady(count), meta={"name": "short", "variant": "one"}))
    ax = plots.growth(run, "rss_bytes", style.detached_axes())
    assert ax.lines[0].get_marker() == "o"
    assert len(ax.lines[0].get_xdata()) == count


def test_seconds_when_a_run_has_no_marks():
    timed = Run(make.run(rss=make.leak(COUNT, 1e4), marks=False, meta={"name": "timed"}))
    ax = plots.growth([recorded(), timed], "rss_bytes", style.detached_axes())
    assert ax.get_xlabel() == "seconds"
    assert ax.lines[0].get_xdata().max() < 2  # seconds, not marks


def test_huge_values_and_hostile_names_stay_readable():
    run = Run(
        make.run(rss=make.leak(COUNT, 1e15), meta={"name": "x", "variant": "$\\alpha" + "名" * 300})
    )
    ax = plots.growth(run, "rss_bytes", style.detached_axes())
    ax.figure.canvas.draw()  # a font without the glyph would warn, and mathematics would fail
    assert len(texts(ax)[0]) < 140
    assert any("GiB" in tick.get_text() for tick in ax.get_yticklabels())


def test_curves_draw_a_panel_for_each_resource_on_one_axis():
    run = recorded(fd_count=make.leak(COUNT, 1.0), thread_count=make.steady(COUNT, 3.0))
    runs = [run, recorded("after", 0.0)]
    host = plots.curves(runs, ["fd_count", "thread_count"], style.detached_axes())
    panels = host.child_axes
    assert [panel.get_gid() for panel in panels] == ["fd_count", "thread_count"]
    assert resource_curves.interesting(runs) == ["fd_count"]  # threads do not move
    assert panels[0].get_shared_x_axes().joined(*panels)
    assert panels[-1].get_xlabel() == "iterations"
    low, high = panels[1].get_ylim()
    assert low <= 0 < 3 < high  # a constant is not blown up


def test_curves_leave_memory_to_the_growth_figure():
    run = recorded(fd_count=make.leak(COUNT, 1.0))
    assert resource_curves.interesting([run]) == ["fd_count"]


def test_where_nothing_moves_a_line_says_what_was_looked_at():
    passing = make.steady(COUNT, 3.0)
    passing[40] = 4.0  # one sample
    run = recorded(fd_count=passing, thread_count=make.steady(COUNT, 1.0))
    assert resource_curves.interesting([run]) == []
    host = plots.curves([run], ax=style.detached_axes())
    assert host.texts[0].get_text() == "nothing else moved: open file descriptors, threads"
    passing[60:] = 5.0  # and this one stays
    moved = recorded(fd_count=passing)
    assert resource_curves.interesting([moved]) == ["fd_count"]


def test_curves_without_resources_say_so():
    host = plots.curves(recorded(), names=["task_count"], ax=style.detached_axes())
    assert host.texts[0].get_text() == "task_count: not measured"


def test_a_million_points_are_thinned_and_keep_their_extremes():
    values = np.zeros(100_000)
    values[54_321] = 7.0
    values[60_000] = np.nan
    x, y = style.thin(np.arange(100_000.0), values)
    assert len(x) <= 1500
    assert y.max() == 7.0
    assert x[y.argmax()] == 54_321


def test_without_axes_a_transparent_pyplot_figure_is_made():
    ax = plots.growth(recorded())
    try:
        assert pyplot.get_fignums()
        assert ax.figure.get_facecolor()[3] == 0
    finally:
        pyplot.close("all")


@pytest.mark.parametrize(
    ("resource", "value", "text"),
    [
        ("rss_bytes", 1536.0, "1.5 KiB"),
        ("rss_bytes", 0.0, "0 B"),
        ("rss_bytes", -3 * 2**20, "-3 MiB"),
        ("fd_count", 1.0, "1 fd"),
        ("gauge:load", 0.123456, "0.123"),
        ("rss_bytes", None, "unmeasured"),
        ("rss_bytes", float("nan"), "unmeasured"),
    ],
)
def test_values_are_said_with_their_unit(resource, value, text):
    assert units.value_text(resource, value) == text


def test_byte_ticks_are_round_in_their_unit():
    ax = style.detached_axes()
    ax.set_ylim(0, 40 * 2**20)
    units.label_axis(ax.yaxis, "rss_bytes")
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == [f"{8 * n} MiB" if n else "0" for n in range(6)]


@pytest.mark.parametrize("top", [6.3, 33.0, 4.9, 2.2, 0.9])
@pytest.mark.parametrize("bottom", [0.3, 2.0, 32.6, 4.4])
def test_byte_ticks_at_equal_distances_say_so(bottom: float, top: float):
    ax = style.detached_axes()
    ax.set_ylim(bottom * 2**20, (bottom + top / 3) * 2**20)
    units.label_axis(ax.yaxis, "rss_bytes")
    said = [float(tick.get_text().split()[0]) for tick in ax.get_yticklabels()]
    assert len(said) > 2
    steps = np.diff(said)
    assert steps == pytest.approx(np.full(len(steps), steps[0]))


def test_svg_carries_alt_text_and_the_pages_ink():
    def draw():
        ax = plots.growth(recorded(), "rss_bytes", style.detached_axes())
        return style.svg(style.figure_of(ax), 'growth of "x" <b>')

    drawn = draw()
    assert 'role="img" aria-label="growth of &quot;x&quot; &lt;b&gt;"' in drawn
    assert "currentColor" in drawn
    assert style.INK not in drawn
    assert drawn == draw()  # no random ids


def test_what_stayed_zero_gets_no_panel():
    run = recorded(fd_count=make.leak(COUNT, 1.0), socket_count=make.steady(COUNT, 0.0))
    assert resource_curves.interesting([run]) == ["fd_count"]


def test_noise_of_a_few_bytes_is_not_blown_up_and_ticks_differ():
    jitter = make.noise(COUNT, 40.0)
    run = Run(make.run(sites={"keep": 1_400_000 + jitter}, meta={"name": "flat"}))
    ax = plots.growth(run, "heap_bytes", style.detached_axes())
    low, high = ax.get_ylim()
    assert high - low >= 0.004 * 1_400_000
    ticks = [tick.get_text() for tick in ax.get_yticklabels()]
    assert len(set(ticks)) == len(ticks)


def test_growth_of_another_role_has_that_roles_verdict():
    both = make.run(rss=make.steady(COUNT), meta={"name": "web", "variant": "prefork"})
    worker = both.samples.assign(process=7, value=9e6 + 5e4 * np.arange(COUNT))
    processes = [
        *both.meta["processes"],
        {"process": 7, "pass": "measure", "role": "fork of main", "ended_seconds": None},
    ]
    run = Run(
        type(both).from_tables(
            {**both.meta, "processes": processes}, samples=pd.concat([both.samples, worker])
        )
    )
    main = plots.growth(run, "rss_bytes", style.detached_axes())
    forked = plots.growth(run, "rss_bytes", style.detached_axes(), role="fork of main")
    assert texts(main)[0].startswith("prefork: bounded")
    assert texts(forked)[0].startswith("prefork: leak, +48.8 KiB per iteration")
    assert forked.get_ylabel() == "resident set size of fork of main"


def startup(variant, rate):
    rss = 1.2e8 * (1 - np.exp(-np.arange(160) / 4)) + 2e7 + rate * np.arange(160)
    return Run(make.run(rss=rss + make.noise(160, 2e3), meta={"name": "cache", "variant": variant}))


def test_what_is_flat_beside_start_up_has_a_panel_after_warm_up():
    ax = plots.growth([startup("before", 2e4), startup("fix", 0.0)], "rss_bytes",
                      style.detached_axes())  # fmt: skip
    (panel,) = [other for other in style.figure_of(ax).axes if other is not ax]
    assert panel.get_gid() == "after warm-up"
    assert panel.get_xlabel() == "iterations"
    before = panel.lines[0].get_ydata()
    low, high = panel.get_ylim()
    assert np.ptp(before) > 0.3 * (high - low)  # and not the flat line of the whole run
    (begins,) = by_gid(panel, "axis start")
    assert begins.get_text().startswith("axis begins at 1")
    assert not by_gid(ax, "axis start")


def test_a_figure_with_an_order_of_its_own_gets_no_panel():
    figure = style.figure_of(style.detached_axes())
    figure.clear()
    ax, other = figure.subplots(1, 2)
    plots.growth([startup("before", 2e4)], "rss_bytes", ax)
    assert figure.axes == [ax, other]


def test_where_nothing_grows_the_axis_begins_at_nought():
    ax = plots.growth([startup("a", 0.0), startup("b", 0.0)], "rss_bytes", style.detached_axes())
    assert ax.get_ylim()[0] == 0.0
    assert style.figure_of(ax).axes == [ax]


def test_equal_lines_are_all_seen():
    same = [recorded(name, 0.0) for name in "abcd"]
    ax = plots.growth(same, "rss_bytes", style.detached_axes())
    drawn = [line for line in ax.lines if line.get_gid() is None]
    styles = [(line.get_linewidth(), str(line._dash_pattern)) for line in drawn]
    assert len(set(styles)) == len(drawn)


def test_the_resource_that_says_most_is_drawn_where_none_is_named():
    run = recorded(rate=0.0, fd_count=make.leak(COUNT, 1.0))
    ax = plots.growth({"before": run, "none": None}, ax=style.detached_axes(), title="pool $1")
    assert ax.get_ylabel() == "open file descriptors"
    assert ax.figure.get_suptitle() == r"pool \$1"
