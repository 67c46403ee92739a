"""The file a walk writes (its format: graph_walk.py), and the texts in it."""

import json
import os
import struct
from array import array

from . import unpatched

MAGIC = b"LLGRAPH1"
_CHUNK = struct.Struct("=4sQ")
_BUFFER_BYTES = 1 << 20


class Output:
    """Chunks, written in large pieces straight to the descriptor."""

    def __init__(self, path):
        self._descriptor = unpatched.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._parts = [MAGIC]
        self._waiting_bytes = 0

    def chunk(self, tag, *parts):
        """Add one chunk: bytes and arrays, one after another."""
        parts = [part.tobytes() if type(part) is array else part for part in parts]
        length = sum(map(len, parts))
        self._parts.append(_CHUNK.pack(tag, length))
        self._parts.extend(parts)
        self._waiting_bytes += length
        if self._waiting_bytes > _BUFFER_BYTES:
            self.flush()

    def json(self, tag, value):
        """Add a chunk of JSON."""
        self.chunk(tag, json.dumps(value).encode("ascii"))

    def flush(self):
        """Write what waits."""
        data = memoryview(b"".join(self._parts))
        self._parts = []
        self._waiting_bytes = 0
        while data:
            data = data[unpatched.write(self._descriptor, data) :]

    def close(self):
        """Write the rest and close."""
        self.flush()
        os.close(self._descriptor)


class Texts:
    """Numbers texts in order of appearance."""

    def __init__(self):
        self._numbers = {}
        self.new = []

    def number(self, value):
        """Return the number of a text, a new one for a new text."""
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self._numbers)
            self.new.append(value)
        return number


class KeyLabels(dict):
    """Label numbers by the address of a key: keys are mostly the same few interned strings."""

    def __init__(self, texts, pattern, otherwise):
        self._texts = texts
        self._pattern = pattern
        self._otherwise = otherwise

    def of(self, keys):
        """Return the label number of each key."""
        labels = list(map(self.get, map(id, keys)))
        if None in labels:
            for place, label in enumerate(labels):
                if label is None:
                    labels[place] = self._learn(keys[place])
        return labels

    def _learn(self, key):
        if type(key) is str and len(key) <= 60 and key.isidentifier():
            label = self._texts.number(self._pattern % key)
        else:
            label = self._otherwise
        self[id(key)] = label
        return label
