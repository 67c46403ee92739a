"""What the probe does around the tracer."""

import sys
import threading
import time

import pytest

from leaklab.probe import tracing


def test_no_other_thread_has_its_turn_while_the_tracer_goes_over_all():
    usual_seconds = sys.getswitchinterval()
    counted, ended = [0], threading.Event()

    def count():
        while not ended.is_set():
            counted[0] += 1

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        with tracing._threads_kept():
            before, until = counted[0], time.monotonic() + 10 * usual_seconds
            while time.monotonic() < until:
                pass
            after = counted[0]
        assert sys.getswitchinterval() == pytest.approx(usual_seconds)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert 0 < before == after
