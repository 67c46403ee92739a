"""Lines that opened something are called as the other lines of a run are."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from leaklab.recorder.heap.stacks import StackTable
from leaklab.recorder.probes.origins import OriginLog


def test_a_line_of_a_cell_is_called_by_its_cell() -> None:
    appended: list[tuple[str, dict[str, Any]]] = []
    writer = SimpleNamespace(
        meta={"processes": []}, append=lambda table, columns: appended.append((table, columns))
    )
    file = "/tmp/ipykernel_12/345.py"
    log = OriginLog(
        "explain",
        cast(Any, writer),
        StackTable(),
        "/work",
        None,
        {file: ("In [4]", "open(x)")},
        0.1,
    )
    tracked = SimpleNamespace(
        process=0,
        heap_number=0,
        library="",
        started_seconds=0.0,
        counts=SimpleNamespace(rising=["fd_count"]),
        role="main",
    )
    log.begin(cast(Any, tracked))
    steps = log.look(cast(Any, tracked), 1.0, 1, None)
    assert next(steps) == ("origins", "begin")
    found = {
        "frames": [["<module>", file, 2]],
        "stacks": [[0, [0]]],
        "rows": [
            ["file", 0, "made", 1, "/dev/null"],
            ["task", 0, "made", 1, "bg, waits at 345.py:3"],
            ["task", 0, "made", 1, "waits at app.py:3"],
        ],
    }
    with pytest.raises(StopIteration):
        steps.send({"found": found})
    frames = dict(appended)["frames"]
    assert frames["file"] == ["In [4]"]
    waits = ["bg, waits at In [4], line 3", "waits at app.py:3"]
    assert dict(appended)["origins"]["subject"] == ["/dev/null", *waits]
