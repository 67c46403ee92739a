"""Packing allocation trees for the browser: string tables, varints, deflate, base64.

The layout is read by ``tree/data.js``: varint length and JSON header, then the frame table's four
columns, then for each tree the depth steps, frame numbers and one signed column a figure.
"""

from __future__ import annotations

import base64
import json
import unicodedata
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leaklab.plots.icicle_layout import Layout, own_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIGURES = ("live_bytes", "growth_bytes", "allocation_count", "before_bytes", "retained_bytes",
           "object_count")  # fmt: skip
_NAME_LIMIT = 300


def pack(layouts: list[Layout], header: dict[str, Any]) -> str:
    """The trees and the header as one base64 text (letters, digits, ``+/=`` only)."""
    places = pd.concat(
        [layout.nodes[["function", "file", "line", "origin"]] for layout in layouts],
        ignore_index=True,
    )
    places["line"] = places["line"].fillna(0).astype(np.int64).clip(lower=0)
    places["file"] = places["file"].fillna("")
    frame = places.groupby(list(places.columns), sort=False, dropna=False).ngroup().to_numpy()
    _, first = np.unique(frame, return_index=True)
    table = places.iloc[first]
    columns: list[bytes] = []
    strings: dict[str, list[str]] = {}
    for name, key in (("function", "functions"), ("file", "files"), ("origin", "origins")):
        codes, values = pd.factorize(table[name].astype(str))
        strings[key] = [clean_name(value) for value in values]
        columns.append(varints(codes))
    columns.insert(2, varints(table["line"].to_numpy()))
    trees, begin = [], 0
    for layout in layouts:
        own = _own_columns(layout)
        count = len(layout.parent)
        steps = np.concatenate([[0], layout.depth[:-1] + 1 - layout.depth[1:]])
        columns += [varints(steps), varints(_backward(frame)[begin : begin + count])]
        columns += [varints(_zigzag(values)) for values in own.values()]
        trees.append({"nodeCount": count, "columns": list(own)})
        begin += count
    about = {**header, **strings, "frameCount": len(table), "trees": trees}
    text = json.dumps(about, separators=(",", ":")).encode("ascii")
    raw = varints(np.array([len(text)])) + text + b"".join(columns)
    return base64.b64encode(zlib.compress(raw, 9)).decode("ascii")


def _backward(frame: NDArray[Any]) -> NDArray[np.int64]:
    """Frame numbers as 0 for the next one that was not met yet, else how far back it is.

    Frames are numbered in the order they are met, so a tree in which every call is another line
    costs next to nothing here.
    """
    met = np.maximum.accumulate(frame) + 1
    before = np.concatenate([[0], met[:-1]])
    return np.where(met > before, 0, before - frame)


def clean_name(text: str) -> str:
    """A name without control or direction characters, its middle cut out when it is endless."""
    if len(text) > _NAME_LIMIT:
        text = f"{text[: _NAME_LIMIT // 2]}…{text[-_NAME_LIMIT // 2 :]}"
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text)


def varints(values: NDArray[Any]) -> bytes:
    """Non-negative integers, seven bits a byte, the lowest first; the top bit says "more"."""
    numbers = np.asarray(values).astype(np.uint64)
    length = np.ones(len(numbers), np.int64)
    for group in range(1, 10):
        length += numbers >= np.uint64(1) << np.uint64(7 * group)
    begin = np.cumsum(length) - length
    packed = np.zeros(int(length.sum()), np.uint8)
    for group in range(int(length.max(initial=0))):
        there = length > group
        bits = (numbers[there] >> np.uint64(7 * group)) & np.uint64(127)
        more = np.where(length[there] - 1 > group, 128, 0)
        packed[begin[there] + group] = bits.astype(np.uint8) | more.astype(np.uint8)
    return packed.tobytes()


def _zigzag(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    return np.where(values < 0, -2 * values - 1, 2 * values).astype(np.uint64)


def _own_columns(layout: Layout) -> dict[str, NDArray[np.int64]]:
    """Own values: most calls hold nothing themselves, so these pack far better than sums."""
    found = {}
    for name in FIGURES:
        if name in layout.nodes.columns:
            values = layout.nodes[name].fillna(0).to_numpy(np.float64)
            found[name] = np.rint(own_values(values, layout.parent)).astype(np.int64)
    return found
