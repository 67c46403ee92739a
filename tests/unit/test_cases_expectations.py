"""Expected against measured: exact, within a tolerance, unmeasured, and for another Python."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from leaklab.catalogue.expectations import (
    Expectation,
    Kept,
    ResourceExpectation,
    check_run,
    checked_frame,
    kept_row,
)
from leaklab.present.untraced import untraced_text


def resource(name: str = "fd_count", **given: Any) -> ResourceExpectation:
    return ResourceExpectation(name=name, **given)


def measured(name: str = "fd_count", **given: Any) -> SimpleNamespace:
    fields = {"verdict": "leak", "rate": 1.0, "last": 40.0, "reason": "grew", "role": "main"}
    fields["decides"] = True
    return SimpleNamespace(**{"name": name, **fields, **given})


def fake_run(
    *resources: SimpleNamespace,
    functions: tuple[str, ...] = (),
    paths: tuple[str, ...] = (),
    traced: bool = True,
) -> SimpleNamespace:
    return SimpleNamespace(
        meta={"passes": [{"traced": traced}], "versions": {"python": "3.11.7"}},
        verdict=lambda: SimpleNamespace(verdict="leak", reason="why", resources=resources),
        suspects=lambda: pd.DataFrame({"function": list(functions)}),
        retention=lambda: pd.DataFrame({"path": list(paths)}),
    )


def checked(run: SimpleNamespace, *resources: ResourceExpectation, **given: Any) -> pd.DataFrame:
    wanted = {one.name: one.model_dump(exclude={"name"}) for one in resources}
    expectation = Expectation(**given, resources=wanted)
    return checked_frame(check_run("before", expectation, run, {"size": 100})).set_index("resource")


def test_verdict_and_exact_counts() -> None:
    run = fake_run(measured(rate=1.0), measured("thread_count", rate=1.01))
    table = checked(
        run,
        resource(verdict="leak", rate=1, last=40),
        resource("thread_count", rate=1),
        verdict="leak",
    )
    assert list(table["ok"]) == [True, True, True, True, False]
    assert table.loc["fd_count rate", "measured"] == "1"
    assert table.loc["verdict", "note"] == "why"


def test_tolerance_is_relative_and_expressions_are_evaluated() -> None:
    run = fake_run(measured("heap_bytes", rate=114.0, last=200.0))
    table = checked(
        run,
        resource("heap_bytes", rate="size", tolerance=0.15, last="size + 1", at_most="2 * size"),
    )
    assert dict(table["ok"]) == {
        "heap_bytes rate": True,
        "heap_bytes last": False,
        "heap_bytes at_most": True,
    }
    assert table.loc["heap_bytes rate", "expected"] == "100 ± 15%"


def test_zero_is_exact() -> None:
    assert checked(fake_run(measured(rate=0.0)), resource(rate=0))["ok"].all()
    assert not checked(fake_run(measured(rate=0.01)), resource(rate=0))["ok"].any()


def test_what_was_not_measured_is_neither_right_nor_wrong() -> None:
    run = fake_run(measured(rate=None), measured("heap_bytes", rate=float("nan")), traced=False)
    table = checked(
        run,
        resource(rate=1),
        resource("heap_bytes", rate=1),
        resource("task_count", verdict="leak"),
        resource("fd_count", verdict="leak", role="fork of main"),
        resource("rss_bytes", verdict="leak", python=">=3.12"),
        suspect="build",
        holder="PAGES",
    )
    assert table["ok"].isna().all()
    assert table.loc["rss_bytes", "note"] == "expected on Python >=3.12 only"


def test_a_heap_that_was_not_traced_says_why() -> None:
    run = fake_run()
    run.meta["passes"] = [
        {"pass": "measure", "why_untraced": "the measure pass does not trace"},
        {"pass": "explain", "why_untraced": "heap not traced: no port"},
    ]
    table = checked(run, resource("heap_bytes", verdict="bounded"))
    assert table.loc["heap_bytes", "note"] == "not measured in main; no port"


def test_what_could_not_have_been_seen_is_not_called_wrong() -> None:
    """A heap traced for a share of the time, without marks, is listed and not judged."""
    listed = {"verdict": "inconclusive", "reason": "was traced in 3 windows: listed, not judged"}
    for decides, expected in ((False, [None, None]), (True, [False, False])):
        run = fake_run(measured("heap_bytes", **listed, decides=decides), functions=("a",))
        table = checked(run, resource("heap_bytes", verdict="leak"), suspect="build")
        assert [None if pd.isna(ok) else ok for ok in table["ok"]] == expected


@pytest.mark.parametrize(
    ("meta", "role", "why"),
    [
        ({}, None, ""),
        ({"passes": [{"pass": "measure", "why_untraced": "no trace"}]}, None, ""),
        ({"passes": [{"pass": "explain", "traced": True}]}, None, ""),
        (
            {"passes": [{"pass": "explain", "why_untraced": "heap not traced: no port"}]},
            None,
            "no port",
        ),
        (
            {
                "events": [
                    {"kind": "skipped", "pass": "explain", "text": "explain pass skipped: -I"}
                ]
            },
            None,
            "-I",
        ),
        (
            {
                "passes": [{"pass": "explain", "traced": True}],
                "processes": [
                    {"pass": "explain", "traced": True},
                    {"pass": "explain", "role": "worker", "note": "heap not traced: no memray"},
                ],
            },
            "worker",
            "no memray",
        ),
    ],
)
def test_one_text_says_why_a_heap_was_not_traced(
    meta: dict[str, Any], role: str | None, why: str
) -> None:
    assert untraced_text(meta, role) == why


def test_suspect_among_the_first_three_and_holder_in_a_path() -> None:
    run = fake_run(functions=("a", "b", "c", "build"), paths=("module app → PAGES → dict",))
    assert not checked(run, suspect="build")["ok"].any()
    assert checked(run, suspect="c", holder="PAGES")["ok"].all()
    assert not checked(run, holder="STORE")["ok"].any()


def test_what_keeps_a_leak_stands_beside_what_allocates_it_in_the_same_process() -> None:
    suspects = {"role": ["main"] * 3, "rank": [1, 2, 3], "function": ["build", "run", "build"]}
    paths = {
        "path": ["app.OTHER → str", "app.PAGES → str", "worker.PAGES → str"],
        "role": ["main", "main", "fork of main"],
        "suspect_ranks": [[2], [1, 3], [1]],
        "rate": [10.0, 20.5, 30.0],
        "unit": ["iteration"] * 3,
    }
    run = SimpleNamespace(
        retention=lambda: pd.DataFrame(paths), suspects=lambda: pd.DataFrame(suspects)
    )
    assert kept_row("PAGES", run) == Kept("app.PAGES → str", ("build",), 20.5, "iteration")
    assert kept_row("worker.PAGES", run) == Kept("worker.PAGES → str", (), 30.0, "iteration")
    assert kept_row("STORE", run) is None
