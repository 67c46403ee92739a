"""A connection pool made for each request instead of once for the process.

One iteration is one request. The memory is on the server: each connection is a process there, so
its private memory is read as well (Linux, server on this machine).
"""

import os
from pathlib import Path

import psycopg2
from psycopg2.pool import ThreadedConnectionPool

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
URL = os.environ["LEAKLAB_POSTGRES_URL"]
NAME = f"leaklab-pools-{os.getpid()}"

POOLS = []
watcher = psycopg2.connect(URL)
watcher.autocommit = True


def create_pool():
    return ThreadedConnectionPool(ARGUMENTS.connections, 20, URL, application_name=NAME)


def query(pool):
    connection = pool.getconn()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_class")
    finally:
        pool.putconn(connection)


def handle_request():
    pool = SHARED_POOL if ARGUMENTS.variant == "better_fix" else create_pool()
    query(pool)
    if ARGUMENTS.variant == "before":
        POOLS.append(pool)


def backend_pids():
    with watcher.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [NAME])
        return [pid for (pid,) in cursor.fetchall()]


def private_bytes(pid):
    """Memory that only this process has; None where it may not be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) * 1_024 for line in lines if line.startswith("Private"))


SHARED_POOL = create_pool() if ARGUMENTS.variant == "better_fix" else None
for _ in range(ARGUMENTS.iterations):
    handle_request()
    sizes = {pid: private_bytes(pid) for pid in backend_pids()}
    gauge("server_connections", len(sizes))
    if None not in sizes.values():
        gauge("server_private_bytes", sum(sizes.values()))
    mark()
