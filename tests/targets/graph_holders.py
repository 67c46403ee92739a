"""One object for every way of holding one; prints their addresses and dumps its own graph.

Runs on any CPython from 3.9 on: ``python graph_holders.py REPOSITORY DUMP``; prints a JSON object
{holder: address} and the walker's process id. Also the scene of benchmarks/retention.py, which sets
HARMLESS in the environment: other tools run the code of hostile classes.
"""

import asyncio
import atexit
import collections
import contextvars
import datetime
import functools
import importlib.util
import itertools
import json
import logging
import operator
import os
import signal
import sys
import threading
import types
import weakref


class Thing:
    """What is held."""

    def __init__(self, name):
        self.name = name
        self.payload = ["payload of " + name]


class Slotted:
    __slots__ = ("place",)


class Owner:
    shared = None


addresses = {}


def held(name, one=None):
    one = Thing(name) if one is None else one
    addresses[name] = id(one)
    return one


# Holders that are names of this module.
MODULE_DICT = {"by key": held("module dict")}
Owner.shared = held("class attribute")
OWNER = Owner()
OWNER.attribute = held("instance attribute")
SLOTTED = Slotted()
SLOTTED.place = held("slot")
QUEUE = collections.deque([held("deque")])
ORDERED = collections.OrderedDict(one=held("OrderedDict"))
ATOMS = {number: held("dict of atomic values", 1e9 + number) for number in range(100, 200)}
addresses["dict of atomic values"] = id(ATOMS[150])
KEYS = {"key of many words %d" % number: None for number in range(50)}
addresses["str key"] = id(list(KEYS)[20])


@functools.lru_cache(maxsize=None)
def cached(number):
    return held("lru_cache")


cached(1)


def make_closure():
    captured = held("closure")

    def inner():
        return captured

    return inner


CLOSURE = make_closure()


def with_default(value=held("default argument")):  # noqa: B008
    return value


def producer():
    kept = held("suspended generator")
    yield 1
    print(kept)


GENERATOR = producer()
next(GENERATOR)

VARIABLE = contextvars.ContextVar("request_state")
VARIABLE.set(held("contextvar"))
atexit.register(lambda one: None, held("atexit argument"))
LOCAL = threading.local()
LOCAL.value = held("thread-local")


def watched():
    pass


WEAK = weakref.ref(
    watched, functools.partial(lambda one, reference: None, held("weakref callback"))
)


def fail():
    broken = held("traceback of a stored exception")
    raise ValueError(len(broken.payload))


try:
    fail()
except ValueError as problem:
    LAST_ERROR = problem


class KeepingHandler(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


LOG = logging.getLogger("scene")  # any logger has a way to all others
logging.getLogger("app").addHandler(KeepingHandler())
logging.getLogger("app").propagate = False
logging.getLogger("app").error("with %s", held("logging handler"))

PARTIAL = functools.partial(print, held("functools.partial"))
CYCLE = itertools.cycle([held("itertools")])
next(CYCLE)


class Zone(datetime.tzinfo):
    def __init__(self, holder):
        self.table = held(holder)


STAMP = datetime.datetime(2026, 1, 1, tzinfo=Zone("field of an untracked C object"))
ZONE = Zone("cycle through an untracked C object")
ZONE.begun = datetime.datetime(2026, 1, 1, tzinfo=ZONE)
del ZONE  # which frees nothing: the collector cannot see that the cycle is one
GETTER = operator.methodcaller("x", held("C extension object"))
METHOD = held("bound method", Owner()).__repr__
signal.signal(signal.SIGUSR2, functools.partial(lambda one, *_: None, held("signal handler")))
os.register_at_fork(after_in_child=functools.partial(lambda one: None, held("fork hook")))
MODULE = types.ModuleType("app_cache")
sys.modules["app_cache"] = MODULE
MODULE.CACHE = {"page": held("other module")}
if "HARMLESS" not in os.environ:

    class Hostile:
        """Everything that could be called by looking at it ends the process."""

        def _die(self, *arguments):
            os._exit(99)

        __eq__ = __hash__ = __repr__ = __sizeof__ = __len__ = __iter__ = __bool__ = _die
        __del__ = None
        __class__ = property(_die)
        secret = property(_die)

        def __getattr__(self, name):
            self._die()

        def __getattribute__(self, name):
            object.__getattribute__(self, "_die")()

    del Hostile.__del__

    class Meta(type):
        def __eq__(cls, other):
            os._exit(98)

        def __hash__(cls):
            os._exit(97)

        def __getattribute__(cls, name):
            os._exit(96)

    class MetaHostile(metaclass=Meta):
        pass

    HOSTILE = [Hostile(), Hostile()]
    META = [MetaHostile(), MetaHostile]
sys.setrecursionlimit(5000)
NESTED = []
for _ in range(3000):
    NESTED = [NESTED]

ready = threading.Event()
done = threading.Event()


def run_job():
    lingering = held("local of a running thread")
    LOCAL.value = held("thread-local of another thread")
    ready.set()
    done.wait()
    return lingering


THREAD = threading.Thread(target=run_job, name="job-1", daemon=True)
THREAD.start()
ready.wait()
TIMER = threading.Timer(3600, print, args=[held("threading.Timer")])
TIMER.daemon = True
TIMER.start()
timer_started, TIMER = TIMER, None
del timer_started


async def worker():
    waiting = held("asyncio task")
    await asyncio.sleep(3600)
    return waiting


async def main(look):
    loop = asyncio.get_running_loop()
    loop.call_later(3600, print, held("asyncio timer"))
    task = asyncio.ensure_future(worker())
    await asyncio.sleep(0)
    del task, loop
    await asyncio.sleep(0.001)
    look()


def probe(repository):
    """Import the probe as the recorder's bootstrap does: under a name of its own, alone."""
    spec = importlib.util.spec_from_file_location(
        "_leaklab_probe",
        repository + "/leaklab/probe/__init__.py",
        submodule_search_locations=[repository + "/leaklab/probe"],
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["_leaklab_probe"] = module
    spec.loader.exec_module(module)
    return importlib.import_module("_leaklab_probe.graph")


def look():
    repository, path = sys.argv[1:3]
    graph = probe(repository)
    if len(sys.argv) > 3:
        result = graph.dump_here(path)
    else:
        result = graph.dump_by_fork(path)
    print(json.dumps({"addresses": addresses, **result}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(look))
    done.set()
    sys.stdout.flush()
    os._exit(0)
