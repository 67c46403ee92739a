"""A Celery prefork worker whose tasks keep something: the parent is flat, the children grow.

Three processes: this one starts a worker, whose parent is what ``ps -p`` shows, and a producer of
tasks. One iteration is a batch of tasks; in a child of the worker it is one task.
"""

import os
import signal
import subprocess
import sys
import threading

from leaklab import mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
PART = os.environ.get("PART")  # the two processes started are this file again
RUN_FILE = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
RESULTS = []


def make_app():
    from celery import Celery

    url = os.environ["LEAKLAB_REDIS_URL"]
    app = Celery(broker=url, backend=url)
    app.conf.broker_connection_retry_on_startup = True
    app.task(name="process_file")(process_file)
    return app


def process_file(number):
    text = b"x" * ARGUMENTS.task_bytes
    if ARGUMENTS.variant != "better_fix":
        RESULTS.append(text)
    mark()
    return len(text)


def work():
    options = ["--pool=prefork", "--concurrency=2", "--loglevel=ERROR", "--without-mingle"]
    options += ["--without-gossip", "--without-heartbeat"]
    if ARGUMENTS.variant == "recycled":
        options.append(f"--max-tasks-per-child={ARGUMENTS.tasks_per_child}")
    make_app().worker_main(["worker", *options])


def produce():
    app = make_app()
    for _ in range(ARGUMENTS.iterations):
        pending = [app.send_task("process_file", (number,)) for number in range(ARGUMENTS.tasks)]
        for result in pending:
            result.get(timeout=60)
            result.forget()
        print("batch done", flush=True)


def end_with_starter():
    """End when standard input closes, however the starter ended."""
    os.read(0, 1)  # not sys.stdin: a forked child would wait for its lock
    os.kill(os.getpid(), signal.SIGTERM)


def start(part, *words, **pipes):
    return subprocess.Popen(
        [sys.executable, *words, __file__, *sys.argv[1:]],
        env={**os.environ, "PART": part},
        stdin=subprocess.PIPE,
        text=True,
        **pipes,
    )


def look_on():
    with (
        start("worker", stdout=subprocess.DEVNULL) as worker,
        # The producer is no part of what is watched: -I keeps a recording out of it, and its
        # figures are not added to those of the worker's parent, for it is called otherwise.
        start("producer", "-I", "-c", RUN_FILE, stdout=subprocess.PIPE) as producer,
    ):
        for _ in producer.stdout:
            mark()
        worker.stdin.close()


if PART is None:
    look_on()
else:
    threading.Thread(target=end_with_starter, daemon=True).start()
    work() if PART == "worker" else produce()
