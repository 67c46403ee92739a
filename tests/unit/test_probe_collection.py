"""A collection in the main thread that another thread asks for."""

import _thread
import gc
import signal
import threading
import time

import pytest

from leaklab.probe.collection import MainThreadCollection

LIMIT_SECONDS = 20.0


class Cycle:
    """Garbage that only the collector frees; its finalizer notes the thread it runs in."""

    def __init__(self, seen):
        self.seen, self.itself = seen, self

    def __del__(self):
        self.seen.append(_thread.get_ident())


@pytest.fixture(autouse=True)
def no_collector():
    was_enabled, callbacks = gc.isenabled(), gc.callbacks[:]
    gc.disable()
    # Nor is there more to look at than a test makes: what this process has imported takes long.
    gc.freeze()
    # Those of test tools are Python: what a signal handler raises in there is lost in any program.
    gc.callbacks.clear()
    yield
    gc.unfreeze()
    gc.callbacks.extend(callbacks)
    if was_enabled:
        gc.enable()


def wait_until(reached):
    """Compute until then, as a program does; not for ever."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not reached() and time.monotonic() < deadline:
        pass


def collect_while_main_works(collection):
    """Ask from another thread, go on computing in this one; returns what it was told."""
    told = []
    asking = threading.Thread(target=lambda: told.append(collection.run(LIMIT_SECONDS)))
    asking.start()
    wait_until(lambda: bool(told))
    asking.join()
    return told[0]


def test_finalizers_run_in_the_main_thread():
    seen = []
    Cycle(seen)
    assert collect_while_main_works(MainThreadCollection()) is not None
    assert seen == [threading.main_thread().ident]


def test_it_can_be_asked_for_again_and_again():
    collection = MainThreadCollection()
    for _ in range(20):
        assert collect_while_main_works(collection) is not None


def test_a_main_thread_that_waits_keeps_nobody_waiting_and_collects_later():
    seen, told = [], []
    Cycle(seen)
    collection = MainThreadCollection()

    def ask():
        told.extend(collection.run(0.01) for _ in range(50))

    release = _thread.allocate_lock()
    release.acquire()
    # It may begin before this thread waits: only then has it run by now.
    asking = threading.Thread(target=lambda: (ask(), release.release()))
    asking.start()
    release.acquire()
    asking.join()
    assert told[-1] is None
    assert collect_while_main_works(collection) is not None
    assert seen == [threading.main_thread().ident]


class HandlerError(Exception):
    """What the program's own signal handler raises."""


def test_what_a_signal_handler_raises_meanwhile_reaches_the_program():
    garbage = [[] for _ in range(200_000)]
    for one in garbage:
        one.append(one)
    gc.collect()
    begun = time.perf_counter()
    gc.collect()
    collection_seconds = time.perf_counter() - begun

    def interrupt(number, frame):
        raise HandlerError(number)

    collection, state = MainThreadCollection(), {"ready": False, "done": False}

    def ask():
        while not state["ready"]:
            time.sleep(0)
        signal.setitimer(signal.ITIMER_REAL, collection_seconds / 2)
        collection.run(LIMIT_SECONDS)
        state["done"] = True

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(5):
            state.update(ready=False, done=False)
            _thread.start_new_thread(ask, ())
            with pytest.raises(HandlerError, match=str(int(signal.SIGALRM))):
                state["ready"] = True
                wait_until(lambda: False)
            wait_until(lambda: state["done"])
    finally:
        signal.signal(signal.SIGALRM, before)
