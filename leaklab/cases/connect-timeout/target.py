"""Connecting to a database that accepts the TCP connection and then says nothing.

One iteration is one request that connects in a worker thread of its own.
"""

import socket
import threading
import time

import psycopg2

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

silent = socket.create_server(("127.0.0.1", 0), backlog=4_096)  # nobody ever accepts
HOST, PORT = silent.getsockname()
SETTINGS = {"host": HOST, "port": PORT, "user": "nobody", "dbname": "none"}
if ARGUMENTS.variant == "documented_fix":
    SETTINGS |= {"connect_timeout": ARGUMENTS.timeout_seconds}
failed = []


def connect():
    try:
        psycopg2.connect(**SETTINGS)
    except psycopg2.OperationalError as error:
        failed.append(str(error)[:0])  # the text, never the exception: it would keep the frames


def handle_request():
    threading.Thread(target=connect, daemon=True).start()


started = time.monotonic()
for number in range(1, ARGUMENTS.iterations + 1):
    handle_request()
    # Requests come by the clock, so that the number that hang is the timeout times their rate.
    time.sleep(max(0.0, started + number * ARGUMENTS.pause_seconds - time.monotonic()))
    gauge("hanging_requests", threading.active_count() - 1)
    mark()
