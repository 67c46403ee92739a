"""SQLAlchemy sessions on SQLite that are not closed, under three kinds of pool.

One iteration is one session that runs one query. ``connections`` counts by the pool's own events:
NullPool has no checkedout().
"""

import gc
import tempfile
from pathlib import Path

from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
VARIANT = ARGUMENTS.variant

folder = tempfile.TemporaryDirectory()
if VARIANT == "static_pool":
    POOL = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
elif VARIANT.startswith("queue_pool"):
    POOL = {"poolclass": QueuePool, "pool_size": 5, "max_overflow": 10, "pool_timeout": 0.01}
else:
    POOL = {"poolclass": NullPool}
ENGINE = create_engine(f"sqlite:///{Path(folder.name) / 'theo.db'}", **POOL)
SESSIONS = []
connection_count = 0


@event.listens_for(ENGINE, "connect")
def connected(connection, record):
    global connection_count
    connection_count += 1


@event.listens_for(ENGINE, "close")
def closed(connection, record):
    global connection_count
    connection_count -= 1


def open_session():
    session = Session(ENGINE)
    session.execute(text("SELECT 1"))
    return session


def keep_session():
    SESSIONS.append(open_session())


def close_session():
    with Session(ENGINE) as session:
        session.execute(text("SELECT 1"))


if VARIANT == "dropped_gc_off":
    gc.disable()
WORK = {
    "before": keep_session,
    "static_pool": keep_session,
    "queue_pool": keep_session,
    "documented_fix": close_session,
    "queue_pool_closed": close_session,
}.get(VARIANT, open_session)
for _ in range(ARGUMENTS.iterations):
    refused = False
    try:
        WORK()
    except PoolTimeoutError:
        refused = True
    gauge("connections", connection_count)
    gauge("refused", refused)
    mark()
