"""What other tools say of the scene tests/targets/graph_holders.py: ``retention_peers.py TOOL``.

Runs in the scene's own process; each tool is handed the object, and is right when the real holder
is on its path. Prints JSON: {way of holding: right}.
"""

import asyncio
import atexit
import ctypes
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "targets"))
import graph_holders as scene

tool = sys.argv[1]


def on_path(name):
    loop = asyncio.get_running_loop()
    timers = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    tasks = [t for t in asyncio.all_tasks() if "worker" in repr(t.get_coro())]
    return {
        "module dict": scene.MODULE_DICT,
        "class attribute": scene.Owner,
        "instance attribute": scene.OWNER,
        "slot": scene.SLOTTED,
        "deque": scene.QUEUE,
        "OrderedDict": scene.ORDERED,
        "dict of atomic values": scene.ATOMS,
        "str key": scene.KEYS,
        "lru_cache": scene.cached,
        "closure": scene.CLOSURE,
        "default argument": scene.with_default,
        "suspended generator": scene.GENERATOR,
        "contextvar": scene.VARIABLE,
        "atexit argument": atexit,
        "thread-local": scene.LOCAL,
        "thread-local of another thread": scene.LOCAL,
        "weakref callback": scene.WEAK,
        "traceback of a stored exception": scene.LAST_ERROR,
        "logging handler": logging.getLogger("app").handlers[0],
        "functools.partial": scene.PARTIAL,
        "itertools": scene.CYCLE,
        "C extension object": scene.GETTER,
        "bound method": scene.METHOD,
        "signal handler": signal.getsignal(signal.SIGUSR2),
        "other module": scene.MODULE.CACHE,
        "local of a running thread": scene.THREAD,
        "threading.Timer": timers[0],
        "asyncio timer": loop,
        "asyncio task": tasks[0],
    }[name]


NAMES = {
    "class attribute": "Owner",
    "lru_cache": "cached",
    "closure": "CLOSURE",
    "default argument": "with_default",
    "suspended generator": "GENERATOR",
    "contextvar": "request_state",
    "atexit argument": "atexit",
    "logging handler": "records",
    "local of a running thread": "lingering",
    "threading.Timer": "args",
    "asyncio timer": "_args",
    "asyncio task": "waiting",
    "signal handler": "SIGUSR2",
    "other module": "CACHE",
    "module dict": "MODULE_DICT",
    "instance attribute": "OWNER",
    "slot": "SLOTTED",
    "deque": "QUEUE",
    "OrderedDict": "ORDERED",
    "str key": "KEYS",
    "dict of atomic values": "ATOMS",
    "thread-local": "LOCAL",
    "thread-local of another thread": "LOCAL",
    "weakref callback": "WEAK",
    "traceback of a stored exception": "LAST_ERROR",
    "functools.partial": "PARTIAL",
    "itertools": "CYCLE",
    "C extension object": "GETTER",
    "bound method": "METHOD",
}


def objgraph_right(one, wanted, name):
    import objgraph

    chain = objgraph.find_backref_chain(one, objgraph.is_proper_module, max_depth=30)
    return len(chain) > 1 and any(step is wanted for step in chain)


def pympler_right(one, wanted, name):
    from pympler.refbrowser import RefBrowser

    browser = RefBrowser(one, maxdepth=3, str_func=lambda o: type(o).__name__, repeat=False)
    todo = [browser.get_tree()]
    while todo:
        node = todo.pop()
        if getattr(node, "o", None) is wanted:
            return True
        todo += [c for c in getattr(node, "children", ()) if hasattr(c, "o")]
    return False


def guppy3_right(one, wanted, name):
    import guppy

    return NAMES[name] in str(guppy.hpy().iso(one).shpaths)


def look():
    right = {}
    for name, address in scene.addresses.items():
        one = ctypes.cast(address, ctypes.py_object).value
        try:
            right[name] = bool(globals()[tool + "_right"](one, on_path(name), name))
        except Exception:
            right[name] = False
        del one
    print(json.dumps(right), flush=True)


asyncio.run(scene.main(look))
os._exit(0)
