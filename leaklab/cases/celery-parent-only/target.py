"""A Celery prefork worker whose tasks keep something: the parent is flat, the children grow.

One iteration is one batch of tasks. The gauges hold what ``ps -p`` shows of the parent, and the
children beside it.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading

import psutil
from celery import Celery

from leaklab import gauge, mark

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("variant", choices=["before", "recycled", "better_fix"])
parser.add_argument("--iterations", type=int, default=30)
parser.add_argument("--tasks", type=int, default=4)
parser.add_argument("--task-bytes", type=int, default=500_000)
parser.add_argument("--tasks-per-child", type=int, default=25)
ARGUMENTS = parser.parse_args()
RESULTS = []

URL = os.environ["LEAKLAB_REDIS_URL"]
app = Celery(broker=URL, backend=URL)
app.conf.broker_connection_retry_on_startup = True


@app.task(name="process_file")
def process_file(number):
    text = b"x" * ARGUMENTS.task_bytes
    if ARGUMENTS.variant != "better_fix":
        RESULTS.append(text)
    mark()
    return len(text)


def stop_with_starter():
    """End when standard input closes, however the starter ended."""
    os.read(0, 1)  # not sys.stdin: a forked child would wait for its lock
    os.kill(os.getpid(), signal.SIGTERM)


def work():
    threading.Thread(target=stop_with_starter, daemon=True).start()
    options = ["--pool=prefork", "--concurrency=2", "--loglevel=ERROR", "--without-mingle"]
    options += ["--without-gossip", "--without-heartbeat"]
    if ARGUMENTS.variant == "recycled":
        options.append(f"--max-tasks-per-child={ARGUMENTS.tasks_per_child}")
    app.worker_main(["worker", *options])


def produce():
    with subprocess.Popen(
        [sys.executable, *sys.argv],
        env={**os.environ, "BE_WORKER": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as worker:
        process = psutil.Process(worker.pid)
        for _ in range(ARGUMENTS.iterations):
            pending = [process_file.delay(number) for number in range(ARGUMENTS.tasks)]
            for result in pending:
                result.get(timeout=60)
                result.forget()
            gauge("worker_parent_rss_bytes", process.memory_info().rss)
            gauge("worker_children_rss_bytes", children_rss_bytes(process))
            mark()
        worker.stdin.close()


def children_rss_bytes(process):
    total = 0
    for child in process.children():
        try:
            total += child.memory_info().rss
        except psutil.NoSuchProcess:
            pass  # recycled between the two calls
    return total


if os.environ.get("BE_WORKER"):
    work()
else:
    produce()
