"""stop() called by two threads at once: a flag alone lets both through, a lock does not."""

import threading
import time

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments


class Channel:
    """Closing it twice is an error, as it is for a channel in Go."""

    def __init__(self):
        self.closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("close of closed channel")
        self.closed = True


class Scheduler:
    """The documented fix: a flag prevents the second close."""

    def __init__(self):
        self.channel = Channel()
        self.stopped = False

    def stop(self):
        if not self.stopped:
            time.sleep(0)  # another thread may run between the look and the note
            self.stopped = True
            self.channel.close()


class LockedScheduler(Scheduler):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def stop(self):
        with self.lock:
            super().stop()


VARIANTS = {"documented_fix": Scheduler, "better_fix": LockedScheduler}


def stop_together(scheduler):
    """Stop from two threads at once; how many of the two failed."""
    failures = []
    together = threading.Barrier(2)

    def stop():
        together.wait()
        try:
            scheduler.stop()
        except RuntimeError as error:
            failures.append(str(error))

    threads = [threading.Thread(target=stop) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(failures)


def run(arguments):
    failed_count = 0
    for _ in range(arguments.iterations):
        failed_count += stop_together(VARIANTS[arguments.variant]())
        gauge("double_close_count", failed_count)
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
