"""Reads the file that a walk of a target's heap has written (format: leaklab.probe.graph_walk)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from leaklab.errors import LeaklabError
from leaklab.object_graph.graph import HeapDump, Root

_MAGIC = b"LLGRAPH1"
_CHUNK = struct.Struct("=4sQ")
_NODE = struct.Struct("=III")
_EDGE = struct.Struct("=IIi")
# Objects start at multiples of 16 bytes; one table of indices covers this many address bits.
_REGION_BITS = 24
_ALIGN_BITS = 4


def read_dump(path: str | Path) -> HeapDump:
    """Read a complete dump. Raises LeaklabError when it is incomplete or no dump at all."""
    data = Path(path).read_bytes()
    if not data.startswith(_MAGIC):
        raise LeaklabError(f"not a dump of an object graph: {path}")
    try:
        reader = _Reader(data)
        if reader.done.get("status") == "complete":
            return reader.dump()
    except (ValueError, TypeError, IndexError, struct.error) as problem:
        raise LeaklabError(f"damaged dump of an object graph: {problem}") from None
    raise LeaklabError(f"no object graph: {reader.done.get('reason', 'the walker was killed')}")


class _Reader:
    """Collects the chunks of one file; ``dump`` puts them together."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._nodes: list[tuple[np.ndarray, ...]] = []
        self._edges: list[tuple[np.ndarray, ...]] = []
        self._texts: list[str] = []
        self._types: list[tuple[int, ...]] = []
        self._roots: list[tuple[str, str, int, int]] = []
        self._bounds: list[tuple[int, str, int, int]] = []
        self.meta: dict[str, Any] = {}
        self.done: dict[str, Any] = {}
        place = len(_MAGIC)
        while place + _CHUNK.size <= len(data):
            tag, size = _CHUNK.unpack_from(data, place)
            place += _CHUNK.size
            self._chunk(tag, place, size)
            place += size

    def _chunk(self, tag: bytes, place: int, size: int) -> None:
        if tag == b"NODE":
            self._nodes.append(self._node(place))
        elif tag == b"EDGE":
            self._edges.append(self._edge(place))
        else:
            body = json.loads(self._data[place : place + size])
            if tag == b"STRS":
                self._texts.extend(body)
            elif tag == b"TYPE":
                self._types.append(tuple(body))
            elif tag == b"ROOT":
                self._roots.extend(map(tuple, body))
            elif tag == b"BNDS":
                self._bounds.extend(map(tuple, body))
            elif tag == b"META":
                self.meta = body
            elif tag == b"DONE":
                self.done = body

    def _array(self, kind: str, count: int, place: int) -> np.ndarray:
        return np.frombuffer(self._data, dtype=kind, count=count, offset=place)

    def _node(self, place: int) -> tuple[np.ndarray, ...]:
        kind, count, flags = _NODE.unpack_from(self._data, place)
        place += _NODE.size
        address = self._array("u8", count, place)
        size = self._array("u8", count, place + 8 * count)
        place += 16 * count
        if flags & 2:
            references = self._array("i8", count, place)
            place += 8 * count
        else:
            references = np.full(count, -1, dtype="i8")
        named = bool(flags & 4)
        name = self._array("i4", count, place) if named else np.full(count, -1, dtype="i4")
        return np.full(count, kind, dtype="i4"), address, size, references, name

    def _edge(self, place: int) -> tuple[np.ndarray, ...]:
        source_count, count, label = _EDGE.unpack_from(self._data, place)
        place += _EDGE.size
        source = self._array("u8", source_count, place)
        place += 8 * source_count
        each = self._array("u4", source_count, place)
        place += 4 * source_count
        target = self._array("u8", count, place)
        place += 8 * count
        if label >= 0:
            return source, each, target, np.full(count, label, dtype="i4")
        return source, each, target, self._array("i4", count, place)

    def dump(self) -> HeapDump:
        kind, address, size, references, name = map(np.concatenate, zip(*self._nodes, strict=True))
        address, first = np.unique(address, return_index=True)
        index = _AddressIndex(address)
        sources, eaches, targets, labels = zip(*self._edges, strict=True)
        source = np.repeat(index.of(np.concatenate(sources)), np.concatenate(eaches))
        target = index.of(np.concatenate(targets))
        label = np.concatenate(labels)
        known = (source >= 0) & (target >= 0) & (source != target)
        # No edge leads from an object to itself, so none of its references does either: else native
        # code would seem to hold what is its own only holder.
        own = source[(source >= 0) & (source == target)]
        references = references[first]
        references[references >= 0] -= np.bincount(own, minlength=len(address))[references >= 0]
        _, names, places, heads = zip(*sorted(self._types), strict=True)
        type_addresses = np.array(places, dtype="u8")
        roots = [
            Root(what, called, int(node), self._texts[edge])
            for (what, called, _, edge), node in zip(
                self._roots,
                index.of(np.array([row[2] for row in self._roots], dtype="u8")),
                strict=True,
            )
            if node >= 0
        ]
        return HeapDump(
            address=address,
            type=kind[first],
            size_bytes=size[first].astype("i8"),
            reference_count=references,
            name=name[first],
            source=source[known],
            target=target[known],
            label=label[known],
            texts=self._texts,
            type_names=[self._texts[name] for name in names],
            type_head_bytes=np.array(heads, dtype="i8"),
            type_node=index.of(type_addresses),
            roots=roots,
            bounds=[
                (int(node), *rest)
                for (_, *rest), node in zip(
                    self._bounds,
                    index.of(np.array([row[0] for row in self._bounds], dtype="u8")),
                    strict=True,
                )
                if node >= 0
            ],
            walk_seconds=float(self.done["seconds"]),
            meta=self.meta,
        )


class _AddressIndex:
    """Finds the index of an address by table: a binary search of millions takes seconds."""

    def __init__(self, address: np.ndarray) -> None:
        region = address >> np.uint64(_REGION_BITS)
        self._regions = np.unique(region)
        self._slots = 1 << (_REGION_BITS - _ALIGN_BITS)
        self._table = np.full(len(self._regions) * self._slots, -1, dtype="i4")
        self._table[self._slot(address, region)] = np.arange(len(address), dtype="i4")
        self._address = address

    def of(self, address: np.ndarray) -> np.ndarray:
        """Return the index of each address, -1 where it is no object of the dump."""
        region = address >> np.uint64(_REGION_BITS)
        place = np.searchsorted(self._regions, region)
        place[place == len(self._regions)] = 0
        found = self._table[self._slot(address, region, place)]
        known = (found >= 0) & (self._address[found] == address)
        return np.where(known, found, np.int32(-1))

    def _slot(
        self, address: np.ndarray, region: np.ndarray, place: np.ndarray | None = None
    ) -> np.ndarray:
        if place is None:
            place = np.searchsorted(self._regions, region)
        within = (address & np.uint64((1 << _REGION_BITS) - 1)) >> np.uint64(_ALIGN_BITS)
        slot: np.ndarray = place * self._slots + within.astype("i8")
        return slot
