"""How the path to each object of targets/graph_holders.py ends."""

PATHS = {
    "module dict": "__main__.MODULE_DICT → dict value → __main__.Thing",
    "class attribute": "__main__.Owner.shared",
    "instance attribute": "__main__.OWNER.attribute",
    "slot": "__main__.SLOTTED.place",
    "deque": "__main__.QUEUE → deque item → __main__.Thing",
    "OrderedDict": "__main__.ORDERED[one]",
    "dict of atomic values": "__main__.ATOMS → dict value → float",
    "str key": "__main__.KEYS → dict key → str",
    "lru_cache": "__main__.cached → cache → dict value → __main__.Thing",
    "closure": "__main__.CLOSURE → closure captured",
    "default argument": "__main__.with_default → default value",
    "suspended generator": "__main__.GENERATOR → local kept",
    "contextvar": "contextvar request_state",
    "atexit argument": "atexit → tuple item → __main__.Thing",
    "thread-local": "__main__.LOCAL.value",
    "thread-local of another thread": "__main__.LOCAL.value",
    "weakref callback": "__main__.WEAK.__callback__.args → tuple item → __main__.Thing",
    "traceback of a stored exception": (
        "__main__.LAST_ERROR.__traceback__.tb_next.tb_frame → local broken"
    ),
    "logging handler": (
        "logging.Logger.manager.loggerDict[app].handlers → list item → __main__.KeepingHandler"
        ".records → list item → logging.LogRecord.args → tuple item → __main__.Thing"
    ),
    "functools.partial": "__main__.PARTIAL.args → tuple item → __main__.Thing",
    "itertools": "__main__.CYCLE → list → list item → __main__.Thing",
    "C extension object": "__main__.GETTER → tuple → tuple item → __main__.Thing",
    "field of an untracked C object": "__main__.STAMP → native field of datetime.datetime.table",
    "cycle through an untracked C object": (
        "held by native code: __main__.Zone in a native field of datetime.datetime.table"
    ),
    "bound method": "__main__.METHOD.__self__",
    "signal handler": "signal SIGUSR2.args → tuple item → __main__.Thing",
    "fork hook": "at-fork → list item → functools.partial.args → tuple item → __main__.Thing",
    "other module": "app_cache.CACHE[page]",
    "local of a running thread": "thread job-#: run_job() → local lingering",
    "threading.Timer": "local self.args → list item → __main__.Thing",
    "asyncio timer": "asyncio.events.TimerHandle._args → tuple item → __main__.Thing",
    "asyncio task": "task worker()._coro → local waiting",
}
