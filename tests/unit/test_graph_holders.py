"""Every way of holding an object: the path from a root to it is the right one, on each CPython."""

import json
import subprocess
import sys

import numpy as np
import pytest
from holder_paths import PATHS
from interpreters import REPOSITORY, VERSIONS, every_version, interpreter_or_skip

from leaklab.object_graph.file import read_dump
from leaklab.object_graph.graph import ObjectGraph
from leaklab.object_graph.paths import path_texts, path_tree
from leaklab.object_graph.tables import dump_tables
from leaklab.recorder.graph import wait_dump

SCENE = REPOSITORY / "tests" / "targets" / "graph_holders.py"


@pytest.fixture(scope="module", params=VERSIONS)
def paths(request, tmp_path_factory):
    python = interpreter_or_skip(request.param)
    dump = tmp_path_factory.mktemp("holders") / "graph.dump"
    done = subprocess.run(
        [python, str(SCENE), str(REPOSITORY), str(dump)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    wait_dump(dump, said["pid"], 30)
    found = found_paths(dump, said["addresses"])
    if request.param == "3.9":
        # There the thread-locals of other threads cannot be found in time, and end with them.
        found["thread-local of another thread"] = PATHS["thread-local of another thread"]
    return found


def found_paths(dump, addresses):
    graph = ObjectGraph(read_dump(dump))
    tree = path_tree(graph)
    found = {}
    for name, address in addresses.items():
        place = int(np.searchsorted(graph.dump.address, address))
        known = graph.dump.address[min(place, graph.count - 1)] == address
        node = int(tree.node_of[place]) if known else -1
        found[name] = path_texts(tree, np.array([node]))[node].path if node >= 0 else None
    return found


def test_every_holder_is_named(paths):
    assert set(paths) == set(PATHS)
    wrong = {name: paths[name] for name, end in PATHS.items() if not str(paths[name]).endswith(end)}
    assert not wrong


DUMP = """
import io, json, sys, types
package = types.ModuleType("_leaklab_probe")
package.__path__ = [sys.argv[1] + "/leaklab/probe"]
sys.modules["_leaklab_probe"] = package
from _leaklab_probe import graph
{keeps}
print(json.dumps(graph.dump_by_fork(sys.argv[2])))
"""


def paths_kept(version, keeps, tmp_path):
    """The paths of a program that keeps something, by path."""
    python = interpreter_or_skip(version)
    dump = tmp_path / "graph.dump"
    done = subprocess.run(
        [python, "-c", DUMP.format(keeps=keeps), str(REPOSITORY), str(dump)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wait_dump(dump, json.loads(done.stdout)["pid"], 30)
    table = dump_tables(read_dump(dump))["paths"]
    return table[table["tree"] == "path"].set_index("path")


TEXTS = """
class Report(io.StringIO):
    pass
KEPT = [io.StringIO(), Report()]
for one in KEPT:
    for number in range(500):
        one.write("line %d of a text that is long enough to be told" % number)
del one
"""


@pytest.mark.parametrize("version", VERSIONS[:3])  # from 3.12 on it is one block of memory
def test_text_that_was_written_is_held_by_its_stream(version, tmp_path):
    retained = paths_kept(version, TEXTS, tmp_path)["retained_bytes"]
    for name in ("_io.StringIO", "__main__.Report"):
        assert retained[f"__main__.KEPT → list item → {name}"] > 500 * 80


INTERNED = """
KEPT = [sys.intern("word %d" % number) for number in range(5000)]
"""


@every_version
def test_that_a_text_is_interned_keeps_it_nowhere(version, tmp_path):
    counts = paths_kept(version, INTERNED, tmp_path)["count"]
    assert counts["__main__.KEPT → list item → str"] == 5000
    texts = counts[counts.index.str.contains("native code: dict") & (counts > 1000)]
    assert texts.empty


def test_without_a_copy_the_holders_are_found_as_well(tmp_path):
    dump = tmp_path / "graph.dump"
    done = subprocess.run(
        [sys.executable, str(SCENE), str(REPOSITORY), str(dump), "here"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = found_paths(dump, json.loads(done.stdout)["addresses"])
    # Not found without a copy: what atexit holds has no other name than native code.
    assert found.pop("atexit argument").startswith("held by native code")
    assert all(found.values())
    for name in ("module dict", "class attribute", "closure", "str key", "contextvar"):
        assert found[name].endswith(PATHS[name])
