"""How many marks a cell will tell, read from its text."""

import pytest

from leaklab.jupyter.iterations import mark_count

NAMES = {"jobs": [1, 2, 3], "count": 7, "lazy": iter([1, 2]), "zero": 0}


@pytest.mark.parametrize(
    ("cell", "count"),
    [
        ("for n in range(40):\n    work(n)\n    mark()", 40),
        ("for n in range(2, 10, 2):\n    leaklab.mark('x')", 4),
        ("n = 10_000\nfor _ in range(2 * n + 1):\n    mark()", 20_001),
        ("for n in range(count):\n    mark()", 7),
        ("for n, job in enumerate(jobs):\n    with job:\n        mark()", 3),
        ("for a in range(3):\n    for job in jobs:\n        mark()", 9),
        ("mark()", 1),
        ("async for n in lazy:\n    mark()", None),
        ("for n in range(5):\n    if n:\n        mark()", None),
        ("for n in range(5):\n    mark()\n    break", None),
        ("for n in range(5):\n    mark()\nmark()", None),
        ("while True:\n    mark()", None),
        ("def work():\n    mark()\nfor n in range(5):\n    work()", None),
        ("jobs.append(1)\nfor job in jobs:\n    mark()", None),
        ("jobs = other()\nfor job in jobs:\n    mark()", None),
        ("from other import count\nfor n in range(count):\n    mark()", None),
        ("from other import *\nfor n in range(count):\n    mark()", None),
        ("n = 5\nn = n + 1\nfor _ in range(n):\n    mark()", None),
        ("for n in range(unknown):\n    mark()", None),
        ("for n in range(1, 5, zero):\n    mark()", None),
        ("for n in range(zero):\n    mark()", None),
        ("for n in range(5) mark()", None),
        ("work()", None),
    ],
)
def test_the_count_is_told_only_where_the_text_says_it(cell: str, count: int | None) -> None:
    assert mark_count(cell, NAMES) == count
