"""A task that makes a SQLAlchemy engine of its own each time it runs.

One iteration is one task.
"""

import argparse
import gc
import tempfile
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from leaklab import mark

parser = argparse.ArgumentParser(description=__doc__)
VARIANTS = ("before", "dropped", "dropped_gc_off", "better_fix", "shared_engine")
parser.add_argument("variant", choices=VARIANTS)
parser.add_argument("--iterations", type=int, default=120)
ARGUMENTS = parser.parse_args()

folder = tempfile.TemporaryDirectory()
URL = f"sqlite:///{Path(folder.name) / 'theo.db'}"
ENGINES = []


def run_query(engine):
    with Session(engine) as session:  # closed properly: it is the engine that holds the connection
        session.execute(text("SELECT 1"))


def task():
    engine = create_engine(URL)
    run_query(engine)
    return engine


def task_that_keeps():
    ENGINES.append(task())


def task_that_disposes():
    task().dispose()


def task_with_shared_engine():
    run_query(SHARED_ENGINE)


SHARED_ENGINE = create_engine(URL)
if ARGUMENTS.variant == "dropped_gc_off":
    gc.disable()
TASK = {
    "before": task_that_keeps,
    "better_fix": task_that_disposes,
    "shared_engine": task_with_shared_engine,
}.get(ARGUMENTS.variant, task)
for _ in range(ARGUMENTS.iterations):
    TASK()
    mark()
