"""The sentence on an allocation tree names the line that most goes through."""

from __future__ import annotations

import pandas as pd

from leaklab.plots.icicle_html import describe_tree


def tree(*held: tuple[str, str, int]) -> pd.DataFrame:
    rows = [("all", "root", 100), *held]
    return pd.DataFrame(
        {
            "function": [name for name, _, _ in rows],
            "file": ["app.py"] * len(rows),
            "line": list(range(len(rows))),
            "origin": [origin for _, origin, _ in rows],
            "live_bytes": [size for _, _, size in rows],
        }
    )


def test_the_innermost_call_with_more_than_half_is_named() -> None:
    chain = (("main", "target", 90), ("run", "stdlib", 90), ("keep", "target", 80))
    assert "most through keep" in describe_tree(tree(*chain, ("other", "target", 10)))


def test_where_none_has_half_the_largest_is_named() -> None:
    assert "most through main" in describe_tree(tree(("main", "target", 40), ("k", "target", 30)))
