"""Containers of plain data, their graph, and what freeing each of them really frees.

``python graph_sizes.py REPOSITORY DUMP`` prints JSON: addresses, freed_bytes, pid.
"""

import collections
import gc
import json
import sys
import tracemalloc
import types

tracemalloc.start()

repository, path = sys.argv[1:3]
package = types.ModuleType("_leaklab_probe")
package.__path__ = [repository + "/leaklab/probe"]
sys.modules["_leaklab_probe"] = package
from _leaklab_probe import graph  # noqa: E402

graph.prepare()
COUNT = 2000


class Page:
    def __init__(self, number):
        self.url = "http://host/%d" % number
        self.body = "x" * 500 + str(number)
        self.score = number * 1.5


class Slotted:
    __slots__ = ("one", "two")

    def __init__(self, number):
        self.one = number + 100000
        self.two = [number + 0.5]


class Five:
    def __init__(self, number):
        for name in "abcde":
            setattr(self, name, str(number) + name)


numbers = range(COUNT)
held = {
    "dict of bytes": {n + 10**6: bytes(300) + str(n).encode() for n in numbers},
    "list of tuples": [(float(n), str(n), [n + 0.25]) for n in numbers],
    "instances": [Page(n) for n in numbers],
    "slots": [Slotted(n) for n in numbers],
    "records": [{"id": n + 10**6, "name": "n%d" % n, "tags": {"t%d" % n}} for n in numbers],
    "nested": {str(n): {str(m) + "x": [n * m + 0.1] for m in range(20)} for n in range(100)},
    "dynamic attributes": {n + 10**6: Five(n) for n in numbers},
    "set of str": {"key%d" % n for n in numbers},
    "bytearrays": [bytearray(1000) for _ in numbers],
    "OrderedDict": collections.OrderedDict((str(n), n * 1.5) for n in numbers),
}
addresses = {name: id(one) for name, one in held.items()}
done = graph.dump_by_fork(path)
freed = {}
for name in list(held):
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    held[name] = None
    gc.collect()
    freed[name] = before - tracemalloc.get_traced_memory()[0]
print(json.dumps({"addresses": addresses, "freed_bytes": freed, "pid": done["pid"]}))
