"""A job per request added and never removed."""

from apscheduler.schedulers.background import BackgroundScheduler
from loop import run

SCHEDULER = BackgroundScheduler()


def step(number):
    SCHEDULER.add_job(print, "interval", hours=1, args=["x" * 500 + str(number)])


if __name__ == "__main__":
    run(step)
