"""A handler that borrows a connection from a pool and fails before it gives it back.

One iteration is one request whose query fails. A second connection watches the server.
"""

import os

import psycopg2
from psycopg2.pool import PoolError, ThreadedConnectionPool

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
URL = os.environ["LEAKLAB_POSTGRES_URL"]
NAME = f"leaklab-pool-{os.getpid()}"
SETTINGS = {"application_name": NAME}
if ARGUMENTS.variant == "documented_fix":
    SETTINGS |= {"connect_timeout": 10, "options": "-c statement_timeout=30000"}
POOL_SIZE = 10 if ARGUMENTS.variant == "small_pool" else ARGUMENTS.pool_size

POOL = ThreadedConnectionPool(1, POOL_SIZE, URL, **SETTINGS)
watcher = psycopg2.connect(URL)
watcher.autocommit = True


def handle_request():
    connection = POOL.getconn()
    connection.cursor().execute("SELECT 1 / 0")
    POOL.putconn(connection)  # never reached: the query above has failed


def handle_request_and_give_back():
    connection = POOL.getconn()
    try:
        connection.cursor().execute("SELECT 1 / 0")
    finally:
        POOL.putconn(connection)


def backends():
    """Connections of this target on the server, and how many sit in a transaction doing nothing."""
    with watcher.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in transaction%%')"
            " FROM pg_stat_activity WHERE application_name = %s",
            [NAME],
        )
        return cursor.fetchone()


HANDLER = handle_request_and_give_back if ARGUMENTS.variant == "better_fix" else handle_request
for _ in range(ARGUMENTS.iterations):
    refused = False
    try:
        HANDLER()
    except PoolError:
        refused = True
    except psycopg2.DataError:
        pass  # the query's own failure
    connection_count, stuck_count = backends()
    gauge("server_connections", connection_count)
    gauge("idle_in_transaction", stuck_count)
    gauge("refused", refused)
    mark()
