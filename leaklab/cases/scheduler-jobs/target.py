"""One APScheduler for the whole program, and what is done with it at every request."""

import logging
import threading
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.schedulers.background import BackgroundScheduler

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

SCHEDULER = BackgroundScheduler()
RAN = threading.Event()
EVENTS = []


def run_automation():
    RAN.set()


def one_interval_job(job):
    """The checked program: its single job runs once more, now instead of in an hour."""
    RAN.clear()
    job.modify(next_run_time=datetime.now(UTC))
    RAN.wait(timeout=10)


def job_per_request(job):
    SCHEDULER.add_job(run_automation, "interval", hours=1)


def job_replaced(job):
    SCHEDULER.add_job(run_automation, "interval", hours=1, id="refresh", replace_existing=True)


def keep_event(event):
    EVENTS.append(event)


VARIANTS = {
    "control": one_interval_job,
    "job_per_request": job_per_request,
    "job_replaced": job_replaced,
    "listener_keeps_events": one_interval_job,
}


def run(arguments):
    request = VARIANTS[arguments.variant]
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    if arguments.variant == "listener_keeps_events":
        SCHEDULER.add_listener(keep_event, EVENT_JOB_EXECUTED)
    # Its last run may not be quite over when the next is due.
    job = SCHEDULER.add_job(
        run_automation, "interval", hours=1, misfire_grace_time=None, max_instances=3
    )
    SCHEDULER.start()
    for _ in range(arguments.iterations):
        request(job)
        gauge("job_count", len(SCHEDULER.get_jobs()))
        mark()
    SCHEDULER.shutdown()


if __name__ == "__main__":
    run(case_arguments(__file__))
