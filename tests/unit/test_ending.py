"""What is told of a run after its end: of the processes that met the limit, not of their parent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import synthetic as s

from leaklab.findings.ending import last_graph, near_limits, outermost, resident
from leaklab.findings.retention import holders_of_type
from leaklab.present.post_mortem import post_mortem_text
from leaklab.results.run import Run
from leaklab.store import RunData
from leaklab.verdict.judge import judge

MIB = 1 << 20
SECONDS = np.arange(40) / 4
NODES = [
    # node, parent, kind, type, path, count, retained
    (0, -1, "module", "module", "app", 1, 72),
    (1, 0, "module", "dict", "app", 1, 900_000),
    (2, 0, "module", "list", "app.KEPT", 1, 600_000),
    (3, 2, "module", "Page", "app.KEPT → list item → Page", 50, 590_000),
    (4, 3, "module", "bytes", "app.KEPT → list item → Page.body", 50, 580_000),
    (5, 0, "module", "dict", "app.OTHER", 1, 200_000),
    (6, -1, "leaklab", "dict", "_leaklab_probe.marks._session", 1, 5_000_000),
    (7, -1, "module", "dict", "small", 1, 1_000),
]


def samples(process: int, name: str, values: Any) -> pd.DataFrame:
    return s._samples(name, np.asarray(values, float), False, 0.25, process)


def graph(process: int, dump: int) -> pd.DataFrame:
    names = ["node", "parent", "kind", "type", "path", "count", "retained_bytes"]
    table = pd.DataFrame(NODES, columns=names)
    return table.assign(process=process, dump=dump, tree="path", fingerprint=table["path"])


@pytest.fixture
def service() -> RunData:
    """A parent that rests, two workers that fill 170 MiB, and a graph of each kind."""
    workers = [10 * MIB + 2 * MIB * np.arange(40), 10 * MIB + 1.5 * MIB * np.arange(40)]
    row = {"pass": "measure", "mark_count": 0, "started_seconds": 0.0, "ended_seconds": 10.0}
    processes = [
        {**row, "process": 0, "pid": 100, "role": "main", "descriptor_limit": 64},
        *(
            {**row, "process": n, "pid": 100 + n, "role": "worker", "descriptor_limit": 64}
            for n in (1, 2)
        ),
    ]
    dumps = {
        "pass": "measure",
        "process": [1, 0],
        "dump": [0, 0],
        "mark": None,
        "time_seconds": [9.0, 3.0],
        "state": "complete",
    }
    return RunData.from_tables(
        {
            "schema_version": 1,
            "name": "service",
            "state": "complete",
            "run_id": "1",
            "processes": processes,
            "events": [],
            "passes": [{"pass": "measure", "stopped_by": "limit-memory"}],
            "limits": {"memory_bytes": 170 * MIB},
        },
        samples=pd.concat(
            [
                samples(0, "rss_bytes", np.full(40, 20 * MIB)),
                *(samples(n, "rss_bytes", each) for n, each in enumerate(workers, 1)),
                samples(1, "fd_count", np.arange(40) + 20),
                samples(2, "fd_count", np.arange(40)),
            ],
            ignore_index=True,
        ),
        graph_dumps=pd.DataFrame(dumps),
        paths=pd.concat([graph(1, 0), graph(0, 0)], ignore_index=True),
    )


def test_memory_is_that_of_all_processes_where_the_limit_counts_them_all(service: RunData) -> None:
    whole, *parts = resident(service)
    assert whole.figures["value"].iloc[-1] == (20 + 10 + 2 * 39 + 10 + 1.5 * 39) * MIB
    assert whole.limit == (170 * MIB, "--limit-memory")
    assert [part.title for part in parts] == ["of it main", "of it worker"]
    # A limit that each meets for itself is told of each.
    service.meta["limits"] = {"address_space_bytes": 170 * MIB}
    assert [part.limit for part in resident(service)] == [
        (170 * MIB, "RLIMIT_AS"),
        (340 * MIB, "RLIMIT_AS of 2 processes"),
    ]


def test_roles_in_groups_of_their_own_have_limits_of_their_own(service: RunData) -> None:
    service.meta["limits"] = {}
    for row in service.meta["processes"]:
        row["group_memory_bytes"] = (100 if row["role"] == "main" else 200) * MIB
    assert [(part.title, part.limit) for part in resident(service)] == [
        ("resident memory", (100 * MIB, "limit of the control group")),
        ("resident memory of worker", (200 * MIB, "limit of the control group")),
    ]


def test_threads_that_nearly_ran_out_are_told_of_all_who_share_the_limit(service: RunData) -> None:
    several = [samples(n, "thread_count", np.full(40, 30)) for n in range(3)]
    for row in service.meta["processes"]:
        row |= {"thread_limit": 100, "thread_limit_name": "pids.max", "descriptor_limit": None}
    service = RunData.from_tables(service.meta, samples=pd.concat(several, ignore_index=True))
    assert near_limits(service) == ["thread_count of all came to 90 of 100 threads (pids.max)"]
    # Shared memory is everybody's, and told of once.
    shared = samples(0, "shm_bytes", np.linspace(0, 39, 40) * MIB)
    filled = RunData.from_tables(service.meta, samples=shared)
    for row in service.meta["processes"]:
        row["shared_memory_bytes"] = 40 * MIB
    assert near_limits(filled) == ["shm_bytes came to 39 MiB of 40 MiB (size of /dev/shm)"]
    service.meta["processes"][0]["thread_limit"] = 31
    assert near_limits(service) == ["thread_count came to 30 of 31 threads (pids.max)"]


def test_the_graph_is_of_the_role_that_has_grown(service: RunData) -> None:
    found = last_graph(service, judge(service).resources, 10)
    assert found.whose == "worker, pid 101"
    # What leaks counts before what has grown otherwise, such as a start.
    resting = judge(service).resource("rss_bytes", "main")
    assert resting is not None
    leaking = replace(resting, verdict="leak", first=0.0)
    assert last_graph(service, [leaking], 10).whose == "main, pid 100"
    text = post_mortem_text(Run(service), resident(service), near_limits(service), found)
    assert "what held most at the last object graph, of worker, pid 101" in text
    assert "resident memory of all processes in the last 9.75 seconds" in text
    assert "that is 104% of 170 MiB (--limit-memory)" in text
    assert "fd_count of worker came to 59 of 64 fds (RLIMIT_NOFILE)" in text
    assert "leaklab_probe" not in text


def test_a_graph_that_was_asked_for_and_not_taken_is_said_with_why(service: RunData) -> None:
    def told(**meta: Any) -> str:
        asked = {"graph_at_share": 0.9, "passes": ["graph"]}
        data = RunData.from_tables(
            {**service.meta, "options": asked, **meta},
            samples=service.samples.assign(**{"pass": pass_}),
            graph_dumps=dumps,
        )
        graph = last_graph(data, judge(data).resources, 10)
        return post_mortem_text(Run(data), resident(data), near_limits(data), graph)

    pass_, dumps = "measure", service.graph_dumps.iloc[:0]
    assert "taken; record with --graph-at 90%" in told(options={"passes": ["graph"]})
    said = "no object graph was taken, though --graph-at 90% asked for one: "
    assert f"{said}the run ended before the graph pass, which takes them" in told()
    skipped = {"kind": "skipped", "pass": "graph", "text": "graph pass skipped: it had failed"}
    assert f"{said}graph pass skipped: it had failed" in told(events=[skipped])
    unseen = {"kind": "no object graphs", "pass": "graph", "text": "no Python process was seen"}
    pass_ = "graph"
    processes = [{**row, "pass": "graph"} for row in service.meta["processes"]]
    assert f"{said}no Python process was seen" in told(processes=processes, events=[unseen])
    assert f"{said}the target ended before one was complete" in told(processes=processes)
    seen = f"{said}memory was seen at 35% of 500 MiB (--limit-memory) at most"
    assert seen in told(processes=processes, limits={"memory_bytes": 500 * MIB})
    dumps = service.graph_dumps.assign(state="failed", reason="the walker was killed")
    assert f"{said}the walker was killed" in told(processes=processes)


def test_each_part_of_memory_is_told_once_and_nothing_of_leaklabs_own() -> None:
    held = outermost(graph(0, 0), 10)
    assert held["path"].tolist() == ["app.KEPT", "app.OTHER", "small"]
    # A module whose many names are small each is told itself.
    flat = graph(0, 0).query("node in (0, 1, 7)")
    assert outermost(flat, 10)["path"].tolist() == ["app", "small"]


def test_holders_of_a_type_are_the_targets_own(service: RunData) -> None:
    assert holders_of_type(service, "dict")["path"].tolist() == ["app", "app.OTHER", "small"]
