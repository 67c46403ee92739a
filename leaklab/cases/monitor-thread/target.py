"""The monitoring that was added against the leak: a thread that logs its application's memory."""

import gc
import threading
import weakref

from leaklab import mark
from leaklab.catalogue.harness import case_arguments


def load_state(payload_bytes):
    return bytearray(payload_bytes)


class Application:
    def __init__(self, payload_bytes):
        self.state = load_state(payload_bytes)
        self.stopped = threading.Event()
        self.start_monitor()

    def start_monitor(self):
        """Periodic monitoring that knows its application and is never told to stop."""
        threading.Thread(target=self.monitor, daemon=True).start()

    def monitor(self):
        while not self.stopped.wait(900):
            gc.collect()
            print(len(self.state))

    def close(self):
        pass


class StoppingApplication(Application):
    """The documented monitoring: it stops when its context is cancelled."""

    def start_monitor(self):
        self.thread = threading.Thread(target=self.monitor, daemon=True)
        self.thread.start()

    def close(self):
        self.stopped.set()
        self.thread.join()


def monitor_weakly(application, stopped):
    while not stopped.wait(900):
        if (alive := application()) is None:
            return
        print(len(alive.state))
        del alive


class WeaklyMonitoredApplication(Application):
    """Nobody needs to close it: the thread holds it weakly and ends with it."""

    def start_monitor(self):
        thread = threading.Thread(
            target=monitor_weakly, args=(weakref.ref(self), self.stopped), daemon=True
        )
        thread.start()
        weakref.finalize(self, end_monitor, self.stopped, thread)


def end_monitor(stopped, thread):
    stopped.set()
    thread.join()


VARIANTS = {
    "before": Application,
    "documented_fix": StoppingApplication,
    "better_fix": WeaklyMonitoredApplication,
}


def run(arguments):
    for _ in range(arguments.iterations):
        application = VARIANTS[arguments.variant](arguments.payload_bytes)
        application.close()
        del application
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
