"""An owner starts an APScheduler for its own refreshes and is dropped; the scheduler goes on."""

import threading

from apscheduler.schedulers.background import BackgroundScheduler

from leaklab import mark
from leaklab.catalogue.harness import case_arguments

SHARED = BackgroundScheduler()


def load_tracks(payload_bytes):
    return bytearray(payload_bytes)


class Orchestrator:
    """Owns its tracks and a scheduler whose job is one of its own methods."""

    def __init__(self, payload_bytes):
        self.tracks = load_tracks(payload_bytes)
        self.scheduler = BackgroundScheduler()
        self.scheduler.add_job(self.refresh, "interval", hours=1)
        self.scheduler.start()

    def refresh(self):
        self.tracks[0] += 1

    def cleanup(self):
        pass


class StoppingOrchestrator(Orchestrator):
    """The documented fix: cleanup stops the scheduler; a flag prevents stopping twice."""

    stopped = False

    def cleanup(self):
        if not self.stopped:
            self.stopped = True
            self.scheduler.shutdown()


class SharingOrchestrator(Orchestrator):
    """One scheduler for the program; the owner takes its job away, once, from whichever thread."""

    def __init__(self, payload_bytes):
        self.tracks = load_tracks(payload_bytes)
        self.job = SHARED.add_job(self.refresh, "interval", hours=1)
        self.lock = threading.Lock()

    def cleanup(self):
        with self.lock:
            job, self.job = self.job, None
        if job is not None:
            job.remove()


class NeverRemovingOrchestrator(SharingOrchestrator):
    """The job's bound method keeps the owner for as long as the shared scheduler runs."""

    def cleanup(self):
        pass


VARIANTS = {
    "before": Orchestrator,
    "documented_fix": StoppingOrchestrator,
    "job_never_removed": NeverRemovingOrchestrator,
    "better_fix": SharingOrchestrator,
}


def run(arguments):
    make = VARIANTS[arguments.variant]
    SHARED.start()
    for _ in range(arguments.iterations):
        owner = make(arguments.payload_bytes)
        owner.refresh()
        owner.cleanup()
        owner.cleanup()  # a second call must do no harm
        del owner
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
