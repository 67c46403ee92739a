"""A task that makes a SQLAlchemy engine of its own each time it runs.

One iteration is one task.
"""

import gc
import tempfile
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from leaklab import mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

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
