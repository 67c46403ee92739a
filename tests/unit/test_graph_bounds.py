"""Containers that hold so many at most: found in a graph on each CPython, and how full they are."""

import json
import subprocess

from interpreters import REPOSITORY, RUNNING, every_version, interpreter_or_skip

from leaklab.object_graph.file import read_dump
from leaklab.object_graph.tables import dump_tables
from leaklab.recorder.graph import wait_dump

SCENE = REPOSITORY / "tests" / "targets" / "graph_bounds.py"
OF_THE_STANDARD_LIBRARY = {
    "recent": ("", 100, 10),
    "cached": ("", 64, 10),
    "jobs": ("queue", 20, 10),
    "trimmed": ("entries", 40, 10),
    "of_class": ("rows", 50, 10),
    "bounded": ("", 60, 10),
}
OF_LIBRARIES = {
    "seen": ("_data", 80, 10),
    "ttl": ("_Cache__data", 70, 10),
    "http.pool": ("queue", 4, 4),
}


@every_version
def test_bounds_are_found_and_what_has_outgrown_one_has_none(version, tmp_path):
    python = interpreter_or_skip(version)
    dump = tmp_path / "graph.dump"
    done = subprocess.run(
        [python, str(SCENE), str(REPOSITORY), str(dump)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    wait_dump(dump, json.loads(done.stdout)["pid"], 30)
    table = dump_tables(read_dump(dump), with_dominators=False)["bounds"]
    found = {
        (path.removeprefix("__main__."), attribute): (bound, held)
        for path, attribute, bound, held in table[
            ["path", "attribute", "bound_count", "held_count"]
        ].itertuples(index=False)
        if path.startswith("__main__.")
    }
    expected = dict(OF_THE_STANDARD_LIBRARY)
    if version == RUNNING:  # the one that has the libraries
        expected |= OF_LIBRARIES
    for name, (attribute, bound, held) in expected.items():
        assert found[name, attribute] == (bound, held), name
    assert not {"outgrown", "unbounded", "endless"} & {name for name, _ in found}
