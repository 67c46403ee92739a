"""No cache in the code base: what the standard library and a decorator keep all the same."""

import functools
import logging
import re
import warnings

from leaklab import mark
from leaklab.catalogue.harness import case_arguments


class Report:
    """Work on one request's data, with a method that is expensive enough to be cached."""

    def __init__(self, number, payload_bytes):
        self.number = number
        self.data = self.load(payload_bytes)

    def load(self, payload_bytes):
        return bytearray(payload_bytes)

    def total(self):
        return sum(self.data[:100])


class CachedForEver(Report):
    @functools.lru_cache(maxsize=None)  # noqa: B019 - the mistake shown
    def total(self):
        return super().total()


class CachedByDefault(Report):
    @functools.lru_cache  # noqa: B019
    def total(self):
        return super().total()


class CachedOnTheInstance(Report):
    @functools.cached_property
    def known_total(self):
        return super().total()

    def total(self):
        return self.known_total


def only_work(report):
    report.total()


def logger_per_request(report):
    logging.getLogger(f"request.{report.number}").debug("total %d", report.total())


def warning_per_request(report):
    warnings.warn(f"request {report.number} was slow", stacklevel=1)


def pattern_per_request(report):
    re.compile(f"request {report.number}")


# variant: (what holds the data, what a request does with it)
VARIANTS = {
    "control": (Report, only_work),
    "method_cached_for_ever": (CachedForEver, only_work),
    "method_cached_by_default": (CachedByDefault, only_work),
    "better_fix": (CachedOnTheInstance, only_work),
    "logger_names": (Report, logger_per_request),
    "warning_texts": (Report, warning_per_request),
    "control_patterns": (Report, pattern_per_request),
}


def run(arguments):
    report, request = VARIANTS[arguments.variant]
    logging.captureWarnings(True)  # a service sends its warnings to the log, and that to nowhere
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    for iteration in range(arguments.iterations):
        for number in range(arguments.requests):
            request(report(iteration * arguments.requests + number, arguments.payload_bytes))
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
