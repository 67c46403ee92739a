"""The audit's test fixture: fail when a test leaves 100 more objects known to the collector.

One iteration is one test under the fixture. The better check collects first and counts what a
leak of this kind really costs: descriptors and checked-out connections.
"""

import functools
import gc
import os
import socket
import tempfile
from pathlib import Path

from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

folder = tempfile.TemporaryDirectory()
ENGINE = create_engine(f"sqlite:///{Path(folder.name) / 'theo.db'}", poolclass=NullPool)
KEPT = []
counts = {"connections": 0, "alarms": 0}


@event.listens_for(ENGINE, "connect")
def connected(connection, record):
    counts["connections"] += 1


@event.listens_for(ENGINE, "close")
def closed(connection, record):
    counts["connections"] -= 1


def control():
    with Session(ENGINE) as session:
        session.execute(text("SELECT 1"))


def session_kept():
    session = Session(ENGINE)
    session.execute(text("SELECT 1"))
    KEPT.append(session)


def bytes_kept():
    KEPT.append(b"x" * ARGUMENTS.payload_bytes)


def strings_kept():
    KEPT.append(tuple(f"answer {len(KEPT)}-{number}" for number in range(1_000)))


def socket_kept():
    KEPT.append(socket.socket())


@functools.lru_cache(maxsize=ARGUMENTS.cache_entries)
def load_setting(number):
    return [number]


def cache_filling():
    """Healthy: a bounded cache that fills up while the tests run."""
    for _ in range(135):
        counts["settings"] = counts.get("settings", 0) + 1
        load_setting(counts["settings"])


def dead_cycles():
    """Five sessions leak while five hundred dead cycles of the test before are still around."""
    for _ in range(5):
        session_kept()
    leave_dead_cycles()


def leave_dead_cycles():
    for _ in range(500):
        cycle = []
        cycle.append(cycle)


def count_objects():
    return len(gc.get_objects())


def count_resources():
    """Everything counted here is worth 100 objects: one of it is an alarm."""
    gc.collect()
    return 100 * (len(os.listdir("/proc/self/fd")) + counts["connections"])


COUNT = count_resources if ARGUMENTS.variant.startswith("better_") else count_objects
TEST = globals()[ARGUMENTS.variant.removeprefix("better_")]
control()  # the first query imports a good deal: not one test's doing
leave_dead_cycles()
for _ in range(ARGUMENTS.iterations):
    initial_count = COUNT()
    TEST()
    gc.collect()
    counts["alarms"] += COUNT() - initial_count >= 100
    gauge("alarms", counts["alarms"])
    if ARGUMENTS.variant == "dead_cycles":
        gc.disable()
        leave_dead_cycles()
    mark()
