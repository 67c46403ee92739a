"""A deployment before and after its fix: pods of other names, that are compared all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import leaklab as ll
from leaklab.analysis.pods import deployment_of

BEFORE = ("web-7d4b9c8f6-bcdfg", "web-7d4b9c8f6-x7z9q")
AFTER = ("web-5c6d7b8f9-gfdcb", "web-5c6d7b8f9-q9z7x")


def _answer(rows: list[tuple[int, str, int]]) -> str:
    labels = {"__name__": "process_resident_memory_bytes", "pod": rows[0][1]}
    series = {"metric": labels, "values": [[t, str(mib << 20)] for t, _, mib in rows]}
    return json.dumps({"data": {"resultType": "matrix", "result": [series]}})


# One pod's course in the forms that name it.
SINGLE: dict[str, Callable[[list[tuple[int, str, int]]], str]] = {
    "csv": lambda rows: "\n".join(
        ["time,pod,rss_mib", *(f"{t},{pod},{mib}" for t, pod, mib in rows)]
    ),
    "jsonl": lambda rows: "\n".join(
        json.dumps({"time": t, "pod": pod, "rss_mib": mib}) for t, pod, mib in rows
    ),
    "prometheus": _answer,
}


def pods(path: Path, steps: dict[str, float]) -> ll.Run:
    rows = [
        f"{60 * n},{pod},{200 + n * step:.2f}" for n in range(60) for pod, step in steps.items()
    ]
    path.write_text("\n".join(["time,pod,rss_mib", *rows]))
    return ll.read(path)


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [((1, 1), (0, 0), "fixed"), ((1, 0), (0, 1), "unchanged"), ((0, 0), (1, 0), "worse")],
)
def test_the_worst_replica_stands_for_a_deployment(
    tmp_path: Path, before: tuple[float, ...], after: tuple[float, ...], outcome: str
) -> None:
    old = pods(tmp_path / "before.csv", dict(zip(BEFORE, before, strict=True)))
    new = pods(tmp_path / "after.csv", dict(zip(AFTER, after, strict=True)))
    compared = ll.compare(old, new)
    assert compared.outcome == outcome
    (row,) = compared.resources.to_dict("records")
    assert row["role"] == "web"
    assert "the worst of 2 and of 2 pods" in row["reason"]
    assert "web" in str(compared._repr_mimebundle_())


@pytest.mark.parametrize("single_first", [True, False])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "prometheus"])
def test_a_single_pod_is_of_its_deployment_too(
    tmp_path: Path, kind: str, single_first: bool
) -> None:
    several = pods(tmp_path / "several.csv", dict(zip(AFTER, (0, 0), strict=True)))
    path = tmp_path / "single"
    rows = [(1_700_000_000 + 60 * n, BEFORE[0], 200 + n) for n in range(60)]
    path.write_text(SINGLE[kind](rows))
    single = ll.read(path)
    assert {process["role"] for process in single.meta["processes"]} == {"main"}
    compared = ll.compare(*((single, several) if single_first else (several, single)))
    (row,) = compared.resources.to_dict("records")
    assert row["role"] == "web"
    assert row["outcome"] == ("fixed" if single_first else "worse")
    counts = "1 and of 2" if single_first else "2 and of 1"
    assert f"(the worst of {counts} pods)" in row["reason"]


def test_a_single_process_of_no_pod_is_paired_with_none(tmp_path: Path) -> None:
    single = pods(tmp_path / "single.csv", {"web": 1})
    several = pods(tmp_path / "several.csv", dict(zip(AFTER, (0, 0), strict=True)))
    assert "main" in set(ll.compare(single, several).resources["role"])


def test_a_pod_that_both_runs_have_is_compared_with_itself(tmp_path: Path) -> None:
    old = pods(tmp_path / "before.csv", dict(zip(BEFORE, (1, 0), strict=True)))
    new = pods(tmp_path / "after.csv", dict(zip(BEFORE, (0, 0), strict=True)))
    assert set(ll.compare(old, new).resources["role"]) == set(BEFORE)


@pytest.mark.parametrize(
    ("role", "deployment"),
    [
        ("web-7d4b9c8f6-x7z9q", "web"),
        ("shop web-7d4b9c8f6-x7z9q app", "shop web app"),
        ("worker-first", ""),
        ("queue-orange-apple", ""),
        ("redis-0", ""),
    ],
)
def test_only_what_kubernetes_names_is_a_pod(role: str, deployment: str) -> None:
    assert deployment_of(role) == deployment


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [(1, 0, "fixed"), (0, 1, "worse"), (1, 1, "unchanged"), (0, 0, "unchanged")],
)
def test_a_figure_that_a_file_is_judged_by_decides_the_comparison(
    tmp_path: Path, before: int, after: int, outcome: str
) -> None:
    runs = []
    for name, step in (("before", before), ("after", after)):
        path = tmp_path / f"{name}.csv"
        rows = [f"{60 * n},{100 + n * step},{n}" for n in range(60)]
        path.write_text("\n".join(["time,heap_used_mb,queue", *rows]))
        runs.append(ll.read(path))
    assert ll.compare(*runs).outcome == outcome
