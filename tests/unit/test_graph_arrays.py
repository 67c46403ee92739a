"""True sizes of what is not Python's own: numpy, pandas, Arrow, memoryviews."""

import importlib
import json
import mmap
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from own_process import printed_by

from leaklab.holders import dump_of_this_process
from leaklab.object_graph.dominators import immediate_dominators, retained_bytes
from leaklab.object_graph.graph import ObjectGraph
from leaklab.object_graph.holders import node_at


class Undisturbed(np.ndarray):
    """None of whose code may run in the walk."""

    @property
    def base(self):
        raise AssertionError("no code of the object may run")

    dtype = nbytes = flat = base


def texts(count):
    return [f"text number {number}" * 4 for number in range(count)]


def sliced(column):
    return [column[start:] for start in range(0, len(column), 20_000)]


def touched(length_bytes, bytes_):
    """Return a memory map that is reserved, and touched from its beginning on."""
    map_ = mmap.mmap(-1, length_bytes)
    map_.write(b"x" * bytes_)
    return map_


def scene():
    """Return objects by name, and what each of them should retain."""
    values = np.array(texts(30_000), dtype=object)
    column = pa.array(texts(50_000))
    column_bytes = column.get_total_buffer_size()
    table = pa.table({"x": pa.array(np.arange(200_000).tolist())})
    strings = pd.DataFrame({"s": pd.array([f"{n:09}" for n in range(50_000)], "string[pyarrow]")})
    mixed = pd.DataFrame({"a": np.zeros(100_000), "b": np.zeros(100_000, dtype="i4")})
    masked = np.ma.masked_array(np.zeros(300_000), mask=np.zeros(300_000, dtype=bool))
    with tempfile.TemporaryFile() as file:
        file.truncate(8_192_000)
        mapped = np.memmap(file, dtype="u1", mode="w+", shape=(8_192_000,))
    mapped[:2_048_000] = 1
    objects = {
        "map": touched(40_960_000, 4_096_000),
        "mapped array": mapped,
        "closed map": touched(4_096_000, 4_096_000),
        "view": np.zeros(500_000)[10:],
        "reshaped": np.zeros((500, 1000)).T.reshape(-1, 2),
        "elements": values,
        "view of elements": values.reshape(300, 100)[5:],
        "frame": pd.DataFrame(np.random.default_rng(1).random((200_000, 5))),
        "mixed frame": mixed,
        "slices": sliced(column),
        "table": table,
        "frame of strings": strings,
        "memoryview": memoryview(bytes(3_000_000))[10:],
        "masked": masked,
        "subclass": np.zeros(400_000).view(Undisturbed),
    }
    objects["closed map"].close()
    expected = {
        "map": 4_096_000,
        "mapped array": 2_048_000,
        "view": 4_000_000,
        "reshaped": 4_000_000,
        "elements": sum(map(sys.getsizeof, texts(30_000))) + 8 * 30_000,
        "frame": 8_000_000,
        "mixed frame": 1_200_000,
        "slices": column_bytes,
        "table": table.get_total_buffer_size(),
        "frame of strings": strings.memory_usage(index=False).sum(),
        "memoryview": 3_000_000,
        "masked": 2_700_000,
        "subclass": 3_200_000,
    }
    return objects, expected


def scene_of_polars():
    """Return the like of polars', where it is installed."""
    if find_spec("polars") is None:
        return {}
    polars = importlib.import_module("polars")
    frame = polars.DataFrame({"a": np.ones(300_000), "b": np.zeros(300_000)})
    shared = [polars.Series(np.zeros(200_000))]
    shared.append(shared[0].slice(1000))
    return {
        "words": polars.DataFrame({"s": texts(50_000)}),
        "short": polars.Series(["abc"] * 50_000),
        "lists": polars.Series([[1, 2, None], []] * 10_000),
        "columns": frame,
        "doubled": polars.concat([frame, frame * 2], rechunk=False),
        "shared": shared,
        "objects": polars.Series([object()] * 3),
    }


def scene_of_torch():
    """Return the like of torch's, where it is installed."""
    if find_spec("torch") is None:
        return {}
    torch = importlib.import_module("torch")
    holder = [torch.zeros(500_000)]
    return {"storages": [*holder, holder[0][1000:], holder[0].untyped_storage()]}


def sizes():
    """Return what everything retains by one walk, and what it should."""
    objects, expected = scene()
    objects |= scene_of_polars() | scene_of_torch()
    graph = ObjectGraph(dump_of_this_process())
    retained = retained_bytes(graph, immediate_dominators(graph))
    found = {name: int(retained[node_at(graph, id(one))]) for name, one in objects.items()}
    return found, {name: int(size) for name, size in expected.items()}


@pytest.fixture(scope="module")
def measured():
    """The sizes in a process of its own: a walk passes all that this one has ever imported."""
    program = "import json, test_graph_arrays; print(json.dumps(test_graph_arrays.sizes()))"
    return json.loads(printed_by(program, Path(__file__).parent))


def test_retained_sizes_are_those_of_the_data(measured):
    sizes, expected = measured
    assert {name: sizes[name] for name in expected} == pytest.approx(expected, rel=0.02)


def test_what_a_view_shares_is_not_its_own(measured):
    sizes, _ = measured
    assert sizes["view of elements"] < 1000


@pytest.mark.skipif(find_spec("polars") is None, reason="polars is not installed")
def test_columns_of_polars_are_counted_once(measured):
    sizes, _ = measured
    text_bytes = 50_000 * 16 + sum(map(len, texts(50_000)))  # its views, and what they look at
    list_bytes = 8 * 20_001 + 8 * 30_000 + 30_000 // 8  # where each begins, elements, which is null
    expected = {
        "words": text_bytes,
        "short": 800_000,
        "lists": list_bytes,
        "doubled": 9_600_000 - 4_800_000,  # it holds the columns of the first and its own
        "shared": 1_600_000,
    }
    assert {name: sizes[name] for name in expected} == pytest.approx(expected, rel=0.02)
    assert sizes["columns"] < 10_000
    assert sizes["objects"] < 10_000


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_storages_of_torch_are_counted_once(measured):
    sizes, _ = measured
    assert sizes["storages"] == pytest.approx(2_000_000, rel=0.02)


def test_a_process_without_numpy_is_walked_as_before():
    program = (
        "import sys; from leaklab.probe import graph_walk, graph_arrays\n"
        "assert graph_arrays.parts_of(list) is None\n"
        "assert 'numpy' not in sys.modules and 'pyarrow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
