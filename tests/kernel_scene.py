"""A day's notebook: what it holds, and how many bytes are truly allocated, cell by cell."""

# Cell 1. `allocated()` is exact: CPython's blocks in use and malloc's, however late the system gets
# its pages back.
FIRST = r"""%load_ext leaklab
import leaklab as ll, numpy as np, pandas as pd, ctypes, functools, gc, os, re, sys, tempfile
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]
def allocated():
    gc.collect()
    with tempfile.TemporaryFile() as out:
        kept = os.dup(2)
        os.dup2(out.fileno(), 2)
        sys._debugmallocstats()
        os.dup2(kept, 2)
        os.close(kept)
        out.seek(0)
        text = out.read().decode()
    blocks = re.search(r"bytes in allocated blocks += +([\d,]+)", text)[1].replace(",", "")
    call = ctypes.CDLL(None).mallinfo2
    call.restype = Info
    info = call()
    return int(blocks) + info.e + info.h
def resident():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
allocated(), resident();"""


def scene(scale: int) -> list[str]:
    """Return the cells; ``scale`` 100 holds what the notebook held that this is made after."""
    return [
        FIRST,
        f"df = pd.DataFrame(np.random.rand({10_000 * scale}, 5))",
        "df * 2",
        "%matplotlib agg\nimport matplotlib.pyplot as plt\n"
        "for _ in range(6):\n"
        f"    plt.figure(); plt.plot(np.random.rand({8_000 * scale}).cumsum())\n"
        "    plt.gcf().canvas.draw()",
        "def boom():\n"
        f"    local_rows = [str(number) * 8 for number in range({4_000 * scale})]\n"
        f"    arr = np.ones({30_000 * scale})\n    1 / 0\nboom()",
        "CACHE = {}\ndef fill():\n"
        f"    for number in range({400 * scale}):\n"
        "        CACHE[number] = 'x' * 600 + str(number)\nfill()",
        "class Svc:\n"
        f"    def __init__(self):\n        self.data = np.ones({10_000 * scale})\n"
        "    @functools.lru_cache(None)\n    def q(self):\n        return 1\n"
        "for _ in range(4):\n    Svc().q()",
        f"rows = [f'row {{n}}' for n in range({2_000 * scale})]\n"
        "column = pd.Series(rows, dtype=object)",
        f"class Node:\n    pass\nNODES = []\nfor _ in range({2_500 * scale}):\n"
        "    NODES.append(Node())\n    NODES[-1].before = NODES[-2:]",
    ]


# What an audit has to name, by the beginning of its words.
ROWS = (
    "6 figures never closed",
    "traceback of ZeroDivisionError, In [5] boom()",
    "NODES: list of",
    "Out[3]: DataFrame",
    "df: DataFrame",
    "Svc.q lru_cache, 4 results",
    "CACHE: dict of",
    "shared by rows, column",
)
