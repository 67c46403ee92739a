"""Requests that open a transaction and forget it: which timeout ends them?

One iteration is one request whose connection is kept by a handler that never finishes.
"""

import os
import time

import psycopg2

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
URL = os.environ["LEAKLAB_POSTGRES_URL"]
NAME = f"leaklab-stuck-{os.getpid()}"
SETTINGS = {"application_name": NAME}
if ARGUMENTS.variant == "documented_fix":
    timeout = f"-c statement_timeout={ARGUMENTS.timeout_milliseconds}"
    SETTINGS |= {"connect_timeout": 10, "options": timeout}
elif ARGUMENTS.variant in ("server_timeout", "better_fix"):
    timeout = f"-c idle_in_transaction_session_timeout={ARGUMENTS.timeout_milliseconds}"
    SETTINGS |= {"options": timeout}

HANDLERS = []
watcher = psycopg2.connect(URL)
watcher.autocommit = True


def open_transaction():
    connection = psycopg2.connect(URL, **SETTINGS)
    connection.cursor().execute("SELECT 1")  # opens the transaction
    return connection


def handle_request():
    connection = open_transaction()
    if ARGUMENTS.variant == "better_fix":
        connection.close()
    else:
        HANDLERS.append(connection)


def stuck_count():
    with watcher.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = %s AND state = 'idle in transaction'",
            [NAME],
        )
        return cursor.fetchone()[0]


for _ in range(ARGUMENTS.iterations):
    handle_request()
    time.sleep(ARGUMENTS.pause_seconds)  # the pace of the requests: the timeout needs its time
    gauge("idle_in_transaction", stuck_count())
    gauge("kept_connections", len(HANDLERS))
    mark()
