"""Which dumps of object graphs are asked for, and which are read in the end."""

import json
import struct
from pathlib import Path

from leaklab.recorder.graph import GraphDumps

DONE = {"status": "complete", "reason": None, "seconds": 0.1}
KILLED = b""


def dump(graphs: GraphDumps, mark: int, *, complete: bool, cost_seconds: float = 0.0) -> Path:
    """A dump that the target has written itself."""
    path = graphs.path()
    body = json.dumps(DONE).encode()
    path.write_bytes(struct.pack("=4sQ", b"DONE", len(body)) + body if complete else KILLED)
    graphs.taken(0, mark, mark / 10, path, {"result": {"cost_seconds": cost_seconds}})
    return path


def read_marks(graphs: GraphDumps) -> list[int | None]:
    found = [one.mark for one in graphs.to_read() if one.problem is None]
    graphs.close()
    return found


def test_where_the_last_dump_fails_the_one_before_is_the_last(tmp_path: Path) -> None:
    graphs = GraphDumps("explain", tmp_path, 60.0)
    for mark in (7, 14, 26, 48):
        dump(graphs, mark, complete=True)
    dump(graphs, 87, complete=False)
    assert read_marks(graphs)[0] == 48
    assert list(tmp_path.iterdir()) == []


def test_the_end_is_looked_at_where_looks_were_too_dear(tmp_path: Path) -> None:
    graphs = GraphDumps("explain", tmp_path, 60.0)
    for mark in (3, 7):
        assert graphs.due(0, mark, mark / 10, 1)
        dump(graphs, mark, complete=True, cost_seconds=0.4)
    assert not graphs.due(0, 1000, 10.0, 1)
    assert graphs.due(0, 1000, 10.0, 1, at_end=True)
    # What is recent enough stands for the end: the variables of functions are gone then.
    assert not graphs.due(0, 9, 10.0, 1, at_end=True)
    graphs.close()
