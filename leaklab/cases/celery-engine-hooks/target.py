"""Disposing a database engine when a Celery worker process ends: which signal is the one?

One iteration is the whole life of a worker: it starts, runs some tasks and is shut down. Every
process of it writes down when it makes its engine and when a hook disposes it.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from celery import Celery
from celery.signals import worker_process_shutdown, worker_shutdown

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
IS_WORKER = "WORKER_FOLDER" in os.environ
scratch = None if IS_WORKER else tempfile.TemporaryDirectory()
FOLDER = Path(os.environ["WORKER_FOLDER"] if IS_WORKER else scratch.name)
URL = os.environ["LEAKLAB_REDIS_URL"]
app = Celery(broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True
_engine = None


def write_down(event):
    with (FOLDER / event).open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")


def get_engine():
    """The engine of this process, made on first use."""
    global _engine
    if _engine is None:
        from sqlalchemy import create_engine

        _engine = create_engine(f"sqlite:///{FOLDER / 'theo.db'}")
        write_down("made")
    return _engine


@app.task(name="process_file")
def process_file():
    with get_engine().connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        if connection.connection.record_info.setdefault("pid", os.getpid()) != os.getpid():
            write_down("inherited")


def cleanup_engine(**_):
    if _engine is not None:
        _engine.dispose()
        write_down("disposed")


if ARGUMENTS.variant.startswith("documented_fix"):
    worker_shutdown.connect(cleanup_engine)
elif ARGUMENTS.variant == "better_fix":
    worker_process_shutdown.connect(cleanup_engine)


def stop_with_starter():
    """End when standard input closes, however the starter ended."""
    os.read(0, 1)  # not sys.stdin: a forked child would wait for its lock
    os.kill(os.getpid(), signal.SIGTERM)


def work():
    threading.Thread(target=stop_with_starter, daemon=True).start()
    if ARGUMENTS.variant == "inherited":
        process_file()  # an engine used before the fork: its pooled connection goes along
    pool = "solo" if ARGUMENTS.variant == "documented_fix_solo" else "prefork"
    options = [f"--pool={pool}", "--concurrency=2", "--loglevel=ERROR"]
    options += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    app.worker_main(["worker", *options])


def count(event):
    path = FOLDER / event
    return len(path.read_text(encoding="utf-8").split()) if path.exists() else 0


def run_worker():
    with subprocess.Popen(
        [sys.executable, *sys.argv],
        env={**os.environ, "WORKER_FOLDER": str(FOLDER)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as worker:
        for result in [process_file.delay() for _ in range(ARGUMENTS.tasks)]:
            result.get(timeout=60)
        worker.stdin.close()


def produce():
    for _ in range(ARGUMENTS.iterations):
        run_worker()
        gauge("engines_made", count("made"))
        gauge("engines_disposed", count("disposed"))
        gauge("engines_left", count("made") - count("disposed"))
        gauge("tasks_on_inherited_connections", count("inherited"))
        mark()
    print(f"{count('made')} engines made, {count('disposed')} disposed by a hook")


if IS_WORKER:
    work()
else:
    produce()
