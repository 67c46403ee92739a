"""`%leaklab kernel` in a real kernel: each line, executed, frees the bytes it is printed with."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_scene import scene
from kernels import Kernel, started_kernel

REFERENCE = Path(__file__).parents[2] / "data" / "reference.zip"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with started_kernel(tmp_path_factory.mktemp("audit")) as kernel:
        for cell in scene(10):
            kernel.run(cell)
        yield kernel


def value(kernel: Kernel, expression: str) -> object:
    return ast.literal_eval(kernel.run(f"print(repr({expression}))").text.strip().splitlines()[-1])


# Runs each line and tells what has come of it, as a share of the bytes it is printed with.
FREED = """
from IPython.utils.capture import capture_output
freed = {}
for one in leaklab_kernel.holdings:
    if one.key in KEYS:
        start = allocated()
        with capture_output():
            assert get_ipython().run_cell(one.line).success, one.line
        freed[one.key] = (start - allocated()) / one.bytes
"""


def test_the_kernel_is_told_what_it_holds_and_each_line_frees_it(kernel: Kernel) -> None:
    reply = kernel.run("%leaklab kernel")
    assert reply.error is None, reply.text
    shown = reply.shown[0]["text/html"]
    assert "6 figures never closed" in shown
    assert "traceback of ZeroDivisionError, In [5] boom()" in shown
    cells = value(kernel, "{h.key: h.cell for h in leaklab_kernel.holdings}")
    expected = {
        "df": 2, "Out[3]": 3, "figures": None, "traceback": 5, "CACHE": 6, "Svc.q": 7,
        "rows + column": 8, "NODES": 9,
    }  # fmt: skip
    assert {key: cells[key] for key in expected} == expected
    answer = kernel.run("leaklab_kernel.why(df)").shown[0]["text/plain"]
    assert "retains 4,0" in answer
    assert "df" in answer
    kernel.run(f"KEYS = {tuple(expected)}")
    assert kernel.run(FREED).error is None
    freed = value(kernel, "freed")
    assert freed == {key: pytest.approx(1, rel=0.05) for key in expected}
    difference = kernel.run("%leaklab kernel --since").shown[0]["text/plain"]
    assert re.search(r"-3\.8\d MiB  df: DataFrame 100,000 × 5, In \[2\]", difference), difference
    assert "Svc: class" not in difference


# How often each is done; with 200 and 50 it takes minutes and finds the same.
SHOWS = int(os.environ.get("LEAKLAB_SHOWS", "3"))
AUDITS = int(os.environ.get("LEAKLAB_AUDITS", "1"))


def test_showing_runs_and_auditing_leaves_nothing_behind(kernel: Kernel) -> None:
    kernel.run(
        "from leaklab.jupyter.magics import show_run\n"
        f"folder = {str(REFERENCE)!r}\n"
        "path = ll.runs(folder).query('name == \"unbounded-cache\"')['path'].iloc[0]\n"
        "def left():\n    gc.collect()\n    scratch = os.listdir(tempfile.gettempdir())\n"
        "    return (len(gc.get_objects()), len(os.listdir('/proc/self/fd')), resident(),\n"
        "            sum(name.startswith('leaklab.kernel') for name in scratch))"
    )

    def worked(shows: int, audits: int) -> tuple[int, ...]:
        for _ in range(shows):
            reply = kernel.run("show_run(ll.open(path))")
            assert len(reply.shown) == 7, reply.error
        for _ in range(audits):
            kernel.run("audit = ll.kernel(progress=False)")
        return value(kernel, "left()")  # type: ignore[return-value]

    objects, descriptors, resident_bytes, folders = worked(1, 1)  # what is imported stays
    after = worked(SHOWS, AUDITS)
    cells = 10 * (SHOWS + AUDITS)  # each leaves its text and its numbers in the history
    assert after[0] - objects < 100 + cells
    assert after[1] - descriptors < 3
    assert after[2] - resident_bytes < 15_000_000
    assert after[3] == folders


def test_watch_says_what_a_cell_has_added(kernel: Kernel) -> None:
    kernel.run("%leaklab watch")
    text = kernel.run("class Page: pass\npages = [Page() for _ in range(50_000)]").text
    assert "leaklab: +" in text
    assert "Page" in text
    assert "pages" in text
    lines = "get_ipython().find_line_magic('leaklab').__self__._kernel_lines._watch.seconds"
    kernel.run("seconds = " + lines)
    kernel.run("%leaklab watch off")
    assert value(kernel, "seconds") < 0.5  # on two busy cores; a quiet machine takes under 0.1 s
    assert kernel.run("pages = None").text == ""


def test_what_cannot_be_is_said_in_one_line(kernel: Kernel) -> None:
    assert "allowed: --since, --quiet" in kernel.run("%leaklab kernel --all").text
    assert "allowed: on, off" in kernel.run("%leaklab watch maybe").text
    later = kernel.run("class Late: pass\nnew = Late()\naudit.why(new)")
    assert later.error is not None
    assert "LeaklabError" in later.error


def test_what_came_later_has_not_the_holders_of_what_was_at_its_address(kernel: Kernel) -> None:
    # So many slots, for a size that nothing else takes meanwhile.
    kernel.run(
        "class Wide: __slots__ = [f'field_{number}' for number in range(50)]\n"
        "first, second = Wide(), Wide()\naudit = ll.kernel(progress=False)"
    )
    same = kernel.run("print(*audit.why(first).holders['path'])")
    assert "first" in same.text, same
    kernel.run(
        "address = id(first)\ndel first\nothers = []\n"
        "while len(others) < 1_000 and (not others or id(others[-1]) != address):\n"
        "    others.append(Wide())\nlater = others.pop()"
    )
    assert kernel.run("print(id(later) == address)").text.strip() == "True"
    assert "not in this audit: this Wide" in (kernel.run("audit.why(later)").error or "")
    assert "second" in kernel.run("print(*audit.why(second).holders['path'])").text
