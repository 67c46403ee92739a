"""True sizes of what is not Python's own: numpy's views and elements, pandas, Arrow, memoryviews."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import leaklab as ll


class Undisturbed(np.ndarray):
    """None of whose code may run in the walk."""

    @property
    def base(self):
        raise AssertionError("no code of the object may run")

    dtype = nbytes = flat = base


def retained(value):
    return ll.why_alive(value).retained_bytes


def text_bytes(texts):
    return sum(map(sys.getsizeof, texts))


def test_a_view_retains_what_owns_its_bytes():
    assert retained(np.zeros(500_000)[10:]) == pytest.approx(4_000_000, rel=0.02)
    copied = np.zeros((500, 1000)).T.reshape(-1, 2)
    assert retained(copied) == pytest.approx(4_000_000, rel=0.02)


def test_elements_of_object_arrays_are_held():
    texts = [f"text number {number}" * 4 for number in range(30_000)]
    expected = text_bytes(texts) + 8 * len(texts)
    values = np.array(texts, dtype=object)
    del texts
    assert retained(values) == pytest.approx(expected, rel=0.02)
    assert retained(values.reshape(300, 100)[5:]) < expected / 50  # `values` holds it as well


def test_a_data_frame_retains_its_blocks():
    frame = pd.DataFrame(np.random.default_rng(1).random((200_000, 5)))
    assert retained(frame) == pytest.approx(8_000_000, rel=0.02)
    frame = pd.DataFrame({"a": np.zeros(100_000), "b": np.zeros(100_000, dtype="i4")})
    assert retained(frame) == pytest.approx(1_200_000, rel=0.02)


def test_arrow_columns_and_their_slices_count_each_buffer_once():
    column = pa.array([f"text number {number}" for number in range(100_000)])
    expected = column.get_total_buffer_size()
    slices = [column[start:] for start in range(0, 100_000, 20_000)]
    del column
    assert retained(slices) == pytest.approx(expected, rel=0.02)
    table = pa.table({"x": pa.array(np.arange(200_000).tolist())})
    assert retained(table) == pytest.approx(table.get_total_buffer_size(), rel=0.02)
    frame = pd.DataFrame({"s": pd.array([f"{n:09}" for n in range(50_000)], "string[pyarrow]")})
    assert retained(frame) == pytest.approx(frame.memory_usage(index=False).sum(), rel=0.02)


def test_memoryviews_and_masked_arrays():
    assert retained(memoryview(bytes(3_000_000))[10:]) == pytest.approx(3_000_000, rel=0.02)
    masked = np.ma.masked_array(np.zeros(300_000), mask=np.zeros(300_000, dtype=bool))
    assert retained(masked) == pytest.approx(2_700_000, rel=0.02)


def test_no_code_of_a_subclass_runs():
    values = np.zeros(400_000).view(Undisturbed)
    assert retained(values) == pytest.approx(3_200_000, rel=0.02)


def test_a_process_without_numpy_is_walked_as_before():
    program = (
        "import sys; from leaklab.probe import graph_walk, graph_arrays\n"
        "assert graph_arrays.parts_of(list) is None\n"
        "assert 'numpy' not in sys.modules and 'pyarrow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
