"""What is printed of a run and of a comparison, as a whole text."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape

import numpy as np
import pandas as pd
import synthetic

from leaklab.present.formatting import amount, worth_showing
from leaklab.present.site_text import path_text
from leaklab.present.terminal import quantity
from leaklab.present.text import run_text, told_lines
from leaklab.report.run_view import run_view
from leaklab.results.as_json import plain
from leaklab.results.run import Run
from leaklab.results.summary import summary
from leaklab.store import RunData

STOPPED = {"stopped_by": "duration"}


def leaking_run() -> Run:
    return Run(
        synthetic.run(
            rss=synthetic.leak(200, 20_000),
            sites={"keep": synthetic.leak(200, 1_000)},
            fd_count=synthetic.leak(200, 1),
        )
    )


def test_text_names_verdict_resource_and_line() -> None:
    lines = run_text(leaking_run()).splitlines()
    assert lines[0] == "synthetic: leak"
    assert any(line.split()[:2] == ["heap_bytes", "leak"] for line in lines)
    assert any(line.strip().startswith("1. keep  app.py:10") for line in lines)


def test_what_a_long_run_has_left_out_is_said() -> None:
    run = leaking_run()
    kept = {"mark_count": 60_000, "measured_mark_count": 4_422, "snapshot_count": 630}
    run.meta["passes"] = [
        {"pass": "measure", "traced": False, "kept": {**kept, "interval_seconds": 2.4}},
        {"pass": "explain", "traced": True, "kept": {**kept, "measured_mark_count": 60_000}},
        {"pass": "graph", "kept": {"mark_count": "hostile"}},
    ]
    lines = [line.strip() for line in run_text(run).splitlines()]
    assert "measure pass: 4,422 of 60,000 marks measured, samples up to 2.4 s apart" in lines
    assert "explain pass: 630 snapshots for 60,000 marks" in lines
    assert not any(line.startswith("graph pass") for line in lines)


def test_json_is_plain_and_complete() -> None:
    shown = json.loads(json.dumps(leaking_run().to_json(), allow_nan=False))
    assert shown["verdict"] == "leak"
    assert {"schema_version", "run", "reason", "resources", "suspects"} <= set(shown)
    suspect = shown["suspects"][0]
    assert suspect["function"] == "keep" and suspect["stack"][0]["line"] == 10
    assert suspect["retained_by"] == []
    resource = next(r for r in shown["resources"] if r["name"] == "fd_count")
    assert resource["rate"] == 1.0 and resource["unit"] == "iteration"


def test_hostile_names_are_written_as_escapes() -> None:
    run = leaking_run()
    run.meta["name"] = "evil\x1b]0;title\x07"
    run.meta["events"] = [{"kind": "note", "text": "\x1b[2J", "time_seconds": None}]
    assert "\x1b" not in run_text(run)
    assert "<script>" not in Run(run.data)._repr_html_()
    run.meta["name"] = "<script>alert(1)</script>"
    assert "<script>" not in Run(run.data)._repr_html_()


def test_unmeasured_becomes_null() -> None:
    import numpy as np
    import pandas as pd

    mixed = {"a": float("nan"), "b": np.int64(3), "c": pd.NA, "d": [np.float64("inf")], "e": (1,)}
    assert plain(mixed) == {"a": None, "b": 3, "c": None, "d": [None], "e": [1]}


def test_a_figure_that_rounds_to_a_thousand_is_no_power_of_ten() -> None:
    assert quantity(999.7) == "1,000"
    assert amount("rss_bytes", 999.7 * 1024) == "1,000 KiB"


def test_marks_that_were_asked_for_and_never_came_are_said_first() -> None:
    run = leaking_run()
    others = [{"kind": "note", "text": f"event {number}"} for number in range(20)]
    run.meta["events"] = [*others, {"kind": "no marks", "text": "--mark-on http saw nothing"}]
    assert "no marks: --mark-on http saw nothing" in run_text(run)


def test_of_a_long_path_both_ends_are_shown() -> None:
    steps = ["app.PIPE", *["map"] * 12, "list item", "Row"]
    assert path_text("held by " + " → ".join(steps)) == (
        "app.PIPE → map → map → … 9 more … → map → list item → Row"
    )
    for count in (1, 6, 7):  # to leave out a single one spares nothing
        short = " → ".join(steps[:count])
        assert path_text(short) == short


def test_only_what_is_not_bounded_has_suspects() -> None:
    """A step that does not go on is no suspect; where nothing is decided it may be one."""
    run = Run(synthetic.run(sites={"late": synthetic.step(60, 400_000, at=50)}))
    assert run.verdict().verdict == "bounded" and len(run.suspects()) == 1
    assert "late" not in run_text(run)
    failed = {"events": [{"kind": "drive", "text": "it ended with status 1"}]}
    run = Run(synthetic.run(sites={"late": synthetic.step(60, 400_000, at=50)}, meta=failed))
    assert run.verdict().verdict == "inconclusive"
    shown = run_text(run)
    assert "  candidates: where what grew is allocated; whether it goes on is not decided" in shown
    assert "  suspects" not in shown


def test_suspects_are_counted_as_they_are_shown() -> None:
    """Ten sites that gain next to nothing come first here, and are left out."""
    few = {f"few{number}": synthetic.stairs(60, 40, every=20) for number in range(10)}
    run = Run(synthetic.run(sites={"late": synthetic.step(60, 4_000_000, at=50), **few}))
    suspects = run.suspects()
    suspects["rank"] = suspects["rank"].to_numpy()[::-1]
    vars(run)["_verdict"] = replace(
        run.verdict(), resources=(), suspects=suspects.sort_values("rank", ignore_index=True)
    )
    assert list(run.suspects()["function"])[-1] == "late"
    assert list(worth_showing(run)["number"]) == [1]
    assert "  1. late  app.py" in run_text(run)


def test_a_suspect_names_no_holder_that_keeps_next_to_nothing_of_what_leaks() -> None:
    """What the list of holders leaves out is not said below the lines either."""
    run = leaking_run()
    path = {"type": "dict", "holder_type": "list", "count": 9, "growth_count": 9,
            "unit": "iteration", "retained_bytes": 900, "growth_bytes": 900, "role": "main",
            "suspect_ranks": [1], "confidence": "medium"}  # fmt: skip
    rates = {"app.ROOMS": 990.0, "app.SETTINGS": 2.0}
    vars(run)["_retention"] = pd.DataFrame(
        [path | {"path": name, "accumulation_point": name, "rate": rates[name]} for name in rates]
    )
    text, html = run_text(run), "".join(run_view(run, figures=False)["suspects"][0]["retained_by"])
    for shown in (text, html, summary(run)):
        assert "app.ROOMS" in shown and "app.SETTINGS" not in shown


def test_of_a_bounded_run_no_holder_is_shown() -> None:
    run = Run(synthetic.run(sites={"fill": synthetic.bounded(200, 2e6, full_at=40)}))
    assert run.verdict().verdict == "bounded"
    full = {"path": "re._cache", "accumulation_point": "re._cache", "type": "str", "count": 512,
            "holder_type": "dict", "growth_count": 12, "retained_bytes": 90_000, "rate": 80.0,
            "unit": "iteration", "role": "main", "suspect_ranks": [],
            "confidence": None}  # fmt: skip
    vars(run)["_retention"] = pd.DataFrame([full])
    assert "re._cache" not in run_text(run) and "retained by" not in run_text(run)
    shown = run_view(run, figures=False)
    assert shown["retention"] == []
    assert shown["no_retention"] == "No retention path: what is held has stopped growing."


def test_figures_by_the_second_of_a_slower_pass_are_told_as_such() -> None:
    """Without marks the heap grows by what the tracer lets the work do in a second."""
    leaking = {"rss": synthetic.leak(200, 20_000), "sites": {"keep": synthetic.leak(200, 10_000)}}
    passes = [
        {"pass": "measure", "duration_seconds": 9.76},
        {"pass": "explain", "duration_seconds": 18.5},
    ]
    slower = "note: the explain pass took 18.5 s for what the measure pass did in 9.76 s"
    for marks, first, told in ((False, {}, True), (True, {}, False), (False, STOPPED, False)):
        meta = {"passes": [passes[0] | first, passes[1]]}
        run = Run(synthetic.run(marks=marks, meta=meta, **leaking))
        assert run.verdict().verdict == "leak"
        assert (slower in run_text(run)) is told


def bounded_run() -> Run:
    return Run(synthetic.run(rss=50e6 + synthetic.noise(200, 400_000)))


def test_a_heap_that_was_looked_at_once_is_listed_without_a_rate() -> None:
    once = {name: synthetic.steady(1, size) for name, size in (("keep", 5e8), ("few", 1e6))}
    run = Run(synthetic.run(rss=synthetic.steady(40, 1e6), sites=once, marks=False))
    text = run_text(run)
    assert "the explain pass would" not in text
    heap = run.verdict().resource("heap_bytes")
    assert heap is not None and not heap.decides and heap.last == 501e6
    assert "  heap_bytes: was looked at once only: listed, not judged\n" in text
    assert (
        "\n  live heap: looked at once, after 0.01 seconds, so how it grows is not known\n"
        "  1. keep  app.py:10  477 MiB live\n"
        "  2. few  app.py:11  977 KiB live"
    ) in text


def test_what_a_target_that_failed_held_is_pointed_to() -> None:
    meta = dict(synthetic.run().meta)
    dumps = pd.DataFrame({"pass": ["explain"], "process": [1], "dump": [0], "state": ["complete"]})
    told = []
    for status in (0, 1):
        meta["passes"] = [{"pass": "explain", "exit_status": status, "duration_seconds": 1.0}]
        told.append(run_text(Run(RunData.from_tables(meta, graph_dumps=dumps))))
    assert "post-mortem" not in told[0]
    assert told[1].endswith("\n\n  what held most when it failed: leaklab post-mortem RUN")


def test_what_is_bounded_states_its_bound_and_how_much_more_by_the_horizon() -> None:
    run = bounded_run()
    entry = run.verdict().resource("rss_bytes")
    assert entry is not None
    bound = f"≤ {amount('rss_bytes', entry.excluded)}/iteration"
    assert any(line.split()[:2] == ["rss_bytes", "bounded"] and bound in line
               for line in run_text(run).splitlines())  # fmt: skip
    assert "more in" not in run_text(run)
    assert "more in 1 s" in run_text(replace(run, horizon_seconds=1.0))


def test_rates_of_a_long_run_are_told_in_the_pace_of_their_reason() -> None:
    run = Run(synthetic.run(rss=synthetic.leak(200, 20_000), marks=False, seconds_per_point=3600))
    shown = next(line for line in run_text(run).splitlines() if line.startswith("  rss_bytes  "))
    assert "leak" in shown and "/day" in shown


def test_what_is_bounded_above_its_limit_is_said() -> None:
    run = bounded_run()
    run.meta["limits"] = {"memory_bytes": 40e6}
    assert "rss_bytes has already reached 38.1 MiB (--limit-memory): its highest" in run_text(run)
    run.meta["limits"] = {"memory_bytes": 200e6}
    assert "has already reached" not in run_text(run)


def test_what_is_given_back_at_the_end_is_the_leak_only_where_it_is_as_much() -> None:
    """A server that leaks files closes its own sockets at its exit: that was no leak."""
    for kept_open, words in ((190, "given back when it ended"), (5, "released only when it ended")):
        data = synthetic.run(fd_count=np.append(synthetic.leak(200, 1), kept_open))
        data.meta["processes"][0]["work_ended_seconds"] = 2.0
        line = next(line for line in run_text(Run(data)).splitlines() if "when it ended" in line)
        assert line.strip().startswith(words)


def test_a_notebook_says_beside_the_table_what_the_terminal_does() -> None:
    run = leaking_run()
    run.meta["platform"] = {"memory_bytes": 2**30}
    told = list(told_lines(run))
    assert any("reaches 1 GiB (memory of the machine)" in line for line in told)
    assert all(escape(line[1:]) in run._repr_html_() for line in told)  # a sentence there
    assert all(line in str(run) for line in told)
