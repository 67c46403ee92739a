"""`%leaklab kernel` in a real kernel: each line, executed, frees the bytes it is printed with."""

import ast
from collections.abc import Iterator

import pytest
from kernel_scene import scene
from kernels import Kernel, started_kernel


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
    assert "-3.81 MiB  df: DataFrame 100,000 × 5, In [2]" in difference


def test_audits_leave_nothing_behind(kernel: Kernel) -> None:
    kernel.run("import os, tempfile; audit = ll.kernel(progress=False)")
    count = "len(os.listdir('/proc/self/fd')) + len(gc.get_objects()) // 1000"
    folders = (
        "len([n for n in os.listdir(tempfile.gettempdir()) if n.startswith('leaklab.kernel')])"
    )
    before = value(kernel, count), value(kernel, folders)
    kernel.run("for _ in range(2): audit = ll.kernel(progress=False)")
    after = value(kernel, count), value(kernel, folders)
    assert after == pytest.approx(before, abs=2)


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
