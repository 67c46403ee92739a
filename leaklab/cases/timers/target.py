"""threading.Timer: fired once, still pending, cancelled but held, and starting itself again."""

import threading

from leaklab import mark
from leaklab.catalogue.harness import case_arguments

HELD = []


def load_user_data(payload_bytes):
    return bytearray(payload_bytes)


class Automation:
    """Runs once after a delay, with the data it was given."""

    def __init__(self, payload_bytes):
        self.data = load_user_data(payload_bytes)
        self.ran = threading.Event()

    def run(self):
        self.data[0] += 1
        self.ran.set()

    def run_again_and_again(self):
        self.run()
        self.timer = timer(3600, self.run_again_and_again)


def timer(seconds, function):
    result = threading.Timer(seconds, function)
    result.daemon = True  # or the program could not end before the last one fired
    result.start()
    return result


def fired_once(automation):
    """The checked program: starts one and lets go of it."""
    timer(0, automation.run).join()


def pending(automation):
    timer(3600, automation.run)


def cancelled_but_held(automation):
    held = timer(3600, automation.run)
    held.cancel()
    held.join()
    HELD.append(held)


def self_rescheduling(automation):
    automation.run_again_and_again()


def cancelled_and_dropped(automation):
    held = timer(3600, automation.run)
    held.cancel()
    held.join()


VARIANTS = {
    "control": fired_once,
    "pending": pending,
    "cancelled_but_held": cancelled_but_held,
    "self_rescheduling": self_rescheduling,
    "better_fix": cancelled_and_dropped,
}


def run(arguments):
    schedule = VARIANTS[arguments.variant]
    for _ in range(arguments.iterations):
        schedule(Automation(arguments.payload_bytes))
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
