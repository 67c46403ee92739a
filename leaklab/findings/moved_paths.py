"""Containers that a call under way leads to in one graph, and another way in the others.

A path is the shortest one: at a look that falls into a loop over a container, a variable of that
call may lead to it in fewer steps than what keeps it. It is the same container, and that one's.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from leaklab.object_graph.paths import KEPT_COUNT

_CALL = "thread"


def told_alike(paths: pd.DataFrame, numbers: list[int]) -> pd.DataFrame:
    """Return the path nodes of all dumps, those under one path that are the same container's.

    By what keeps it where that is told in any, else by the last dump.
    """
    looks = [_looked(paths[paths["dump"] == number]) for number in numbers]
    last = looks[-1]
    called: dict[str, tuple[str, str]] = {}
    for look in reversed(looks[:-1]):
        came = _by_place({name: row for name, row in last.items() if name not in look}, call=True)
        gone = _by_place({name: row for name, row in look.items() if name not in last}, call=False)
        for place in came.keys() & gone.keys():
            new, old = came[place], gone[place]
            together = any(new in each and old in each for each in looks)
            if together or new in called or old in called:
                continue
            keeps, other = (new, old) if look[old]["kind"] == _CALL else (old, new)
            called[other] = keeps, (last if keeps == new else look)[keeps]["path"]
    if not called:
        return paths
    for name, told in called.items():
        while told[0] in called:  # in one graph by way of one call, in the next of another
            told = called[told[0]]
        called[name] = told
    names, texts = paths["fingerprint"].astype(object), paths["path"].astype(object)
    is_other = names.isin(called)
    found = names[is_other]
    names[is_other] = [called[name][0] for name in found]
    texts[is_other] = [called[name][1] for name in found]
    return paths.assign(fingerprint=names, path=texts)


def _looked(nodes: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    """Return the path nodes of a dump by fingerprint, each with its place: step and type, its own
    and of what is above it."""
    rows = nodes[["node", "parent", "kind", "step", "type", "path", "fingerprint", "count"]]
    known: dict[Any, dict[Any, Any]] = {row["node"]: row for row in rows.to_dict("records")}
    for row in known.values():
        above = known.get(row["parent"])
        row["place"] = above and (row["step"], row["type"], above["step"], above["type"])
    return {str(row["fingerprint"]): row for row in known.values()}


def _by_place(rows: dict[str, dict[Any, Any]], *, call: bool) -> dict[Any, str]:
    """Return which path node is at a place where only one is. call: of a call under way alone."""
    fitting = [
        (row["place"], name)
        for name, row in rows.items()
        if row["place"] and (row["kind"] == _CALL or not call)
    ]
    count = Counter(place for place, _ in fitting)
    piles = {place for place, name in fitting if rows[name]["count"] >= KEPT_COUNT}
    above = {place[2:] for place in piles}
    return {
        place: name
        for place, name in fitting
        if count[place] == 1 and (place in piles or place[:2] in above)
    }
