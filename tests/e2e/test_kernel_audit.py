"""`%leaklab kernel` in a real kernel: each line, executed, frees the bytes it is printed with."""

import ast
from collections.abc import Iterator

import pytest
from kernels import Kernel, started_kernel

# What a day's notebook holds, in blocks that the system takes back at once.
SCENE = (
    "%load_ext leaklab\n"
    "import leaklab as ll, numpy as np, pandas as pd, functools, gc, ctypes\n"
    "def resident():\n"
    "    gc.collect()\n"
    "    ctypes.CDLL(None).malloc_trim(0)\n"
    "    return int(open('/proc/self/statm').read().split()[1]) * 4096",
    "df = pd.DataFrame(np.random.rand(400_000, 5))",
    "df * 2",
    "%matplotlib agg\n"
    "import matplotlib.pyplot as plt\n"
    "for _ in range(3):\n"
    "    one = plt.figure()\n"
    "    one.measurement = np.ones(1_500_000)\n"
    "del one, _",
    "def boom():\n    rows = np.ones(2_000_000)\n    1 / 0\nboom()",
    "CACHE = {}\n"
    "def fill():\n    for number in range(30):\n        CACHE[number] = b'x' * 400_000\n"
    "fill()",
    "class Svc:\n"
    "    def __init__(self):\n        self.data = b'x' * 4_000_000\n"
    "    @functools.lru_cache(None)\n"
    "    def q(self):\n        return 1\n"
    "for _ in range(3):\n    Svc().q()",
    "whole = pd.DataFrame({'v': np.ones(1_000_000)})\npart = whole['v']",
    "class Node:\n    pass\nNODES = [Node() for _ in range(100_000)]",
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with started_kernel(tmp_path_factory.mktemp("audit")) as kernel:
        for cell in SCENE:
            kernel.run(cell)
        yield kernel


def value(kernel: Kernel, expression: str) -> object:
    return ast.literal_eval(kernel.run(f"print(repr({expression}))").text.strip().splitlines()[-1])


def test_the_kernel_is_told_what_it_holds_and_each_line_frees_it(kernel: Kernel) -> None:
    before = value(kernel, "resident()")
    reply = kernel.run("%leaklab kernel")
    assert reply.error is None, reply.text
    assert value(kernel, "resident()") - before < 5_000_000
    shown = reply.shown[0]["text/html"]
    assert "3 figures never closed" in shown
    assert "traceback of ZeroDivisionError, In [5] boom()" in shown
    rows = value(kernel, "[(h.key, h.bytes, h.line, h.cell) for h in leaklab_kernel.holdings]")
    rows = {key: rest for key, *rest in rows}
    expected = {
        "df": 16_000_000, "Out[3]": 16_000_000, "traceback": 16_000_000,
        "figures": 36_000_000 + 3 * 4 * 640 * 480,  # and their pictures
        "CACHE": 12_000_000, "Svc.q": 12_000_000, "whole + part": 8_000_000,
    }  # fmt: skip
    assert {key: rows[key][0] for key in expected} == pytest.approx(expected, rel=0.05)
    assert {key: rows[key][2] for key in ("df", "Out[3]", "Svc.q", "NODES")} == {
        "df": 2, "Out[3]": 3, "Svc.q": 7, "NODES": 9,
    }  # fmt: skip
    answer = kernel.run("leaklab_kernel.why(df)").shown[0]["text/plain"]
    assert "retains 16,0" in answer
    assert "df" in answer
    # Of small objects the allocator keeps what it cannot give back in whole arenas.
    for key, tolerance in (*((key, 0.05) for key in expected), ("NODES", 0.5)):
        size, line, _ = rows[key]
        start = value(kernel, "resident()")
        assert kernel.run(line).error is None, line
        assert start - value(kernel, "resident()") == pytest.approx(size, rel=tolerance), line
    difference = kernel.run("%leaklab kernel --since").shown[0]["text/plain"]
    assert "-15.3 MiB  df: DataFrame 400,000 × 5, In [2]" in difference
    nothing = kernel.run("%leaklab kernel --since").shown[0]["text/plain"]
    assert "MiB  " not in nothing


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
