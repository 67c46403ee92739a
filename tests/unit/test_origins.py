"""The lines that made what stays: how fast, over all processes of a role that do its work."""

from typing import Any

import pandas as pd
import pytest
import synthetic as s

from leaklab.findings.origins import origins

SECONDS = [float(number) for number in range(11)]


def looks(
    process: int, counts: list[int], *, marks: bool = True, begin: float = 0.0
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "pass": "explain",
            "process": process,
            "time_seconds": [begin + second for second in SECONDS],
            "mark": [10 * place for place in range(11)] if marks else None,
            "kind": "file",
            "stack_id": None,
            "how": "made",
            "count": counts,
            "subject": "audit.log",
        }
    ).astype({"mark": "Float64", "stack_id": "Int64"})


def rate(*parts: pd.DataFrame, idle_marks: int = 0) -> tuple[Any, str]:
    entries = [
        {"process": int(part["process"].iloc[0]), "pass": "explain", "role": "main"}
        for part in parts
    ]
    if idle_marks:
        idle = {"process": 9, "pass": "explain", "role": "main", "mark_count": idle_marks}
        entries.append(idle)
    meta = {"name": "service", "processes": entries, "passes": [{"pass": "explain"}]}
    [row] = origins(s.RunData.from_tables(meta, origins=pd.concat(parts))).to_dict("records")
    return row["rate"], row["unit"]


GROWS, STANDS = [5 + 2 * place for place in range(11)], [5] * 11


def test_every_worker_counts_its_own_units_of_work() -> None:
    # Two in ten units: by each of two workers, by one of two, by one life after the other.
    assert rate(looks(1, GROWS)) == (pytest.approx(0.2), "iteration")
    assert rate(looks(1, GROWS), looks(2, GROWS)) == (pytest.approx(0.2), "iteration")
    assert rate(looks(1, GROWS), looks(2, STANDS)) == (pytest.approx(0.1), "iteration")
    assert rate(looks(1, GROWS), looks(2, GROWS, begin=20.0))[0] == pytest.approx(0.2)
    # In one nothing rose, so that it was not looked at.
    assert rate(looks(1, GROWS), idle_marks=100)[0] == pytest.approx(0.1)


def test_a_parent_without_marks_adds_no_work() -> None:
    assert rate(looks(1, GROWS), looks(2, STANDS, marks=False))[1] == "iteration"
    assert rate(looks(1, GROWS), looks(2, STANDS, marks=False))[0] == pytest.approx(0.2)


def test_by_seconds_processes_share_their_time() -> None:
    first = looks(1, GROWS, marks=False)
    assert rate(first, looks(2, GROWS, marks=False)) == (pytest.approx(4.0), "second")
    later = looks(2, GROWS, marks=False, begin=20.0)
    assert rate(first, later)[0] == pytest.approx(2.0)


@pytest.mark.parametrize("kind", ["file", "thread", "task"])
def test_what_the_end_of_the_program_gives_back_was_made_all_the_same(kind: str) -> None:
    # The loop cancels its tasks, a finally closes what is open: the last looks find nothing.
    counts = [*GROWS[:9], 0, 0]
    end = looks(1, counts, marks=False).assign(kind=kind)
    other = looks(1, STANDS, marks=False).assign(kind="pipe")
    resource = {"file": "fd_count", "thread": "thread_count", "task": "task_count"}[kind]
    samples = end[["pass", "process", "time_seconds", "mark"]]
    samples = samples.assign(name=resource, value=[count + 3.0 for count in counts])
    entry = {"process": 1, "pass": "explain", "role": "main"}
    meta = {"name": "service", "processes": [entry], "passes": [{"pass": "explain"}]}
    seen = pd.concat([end[end["count"] > 0], other])
    data = s.RunData.from_tables(meta, origins=seen, samples=samples.assign(quiescent=False))
    [row] = origins(data).to_dict("records")
    assert (row["resource"], row["count"], row["rate"]) == (resource, 21, pytest.approx(2.0))
