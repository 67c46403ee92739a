"""A report that reads a whole table while the table grows.

One iteration adds a day's rows and makes the report; the mark is set while its rows stand.
"""

import os

import psycopg2
from psycopg2.extras import RealDictCursor

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

connection = psycopg2.connect(os.environ["LEAKLAB_POSTGRES_URL"])
with connection.cursor() as cursor:
    cursor.execute("CREATE TEMPORARY TABLE answers (id bigserial, body text)")


def add_rows():
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO answers (body) SELECT repeat('x', %s) FROM generate_series(1, %s)",
            [ARGUMENTS.row_bytes, ARGUMENTS.rows],
        )


def fetch_all():
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, body FROM answers")
        return cursor.fetchall()


def fetch_dictionaries():
    with connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute("SELECT id, body FROM answers")
        return cursor.fetchall()


def stream():
    """A named cursor stays on the server and hands over itersize rows at a time."""
    with connection.cursor(name="report") as cursor:
        cursor.itersize = 500
        cursor.execute("SELECT id, body FROM answers")
        yield from cursor


READ = {"before": fetch_all, "dictionaries": fetch_dictionaries, "better_fix": stream}[
    ARGUMENTS.variant
]
for _ in range(ARGUMENTS.iterations):
    add_rows()
    rows = READ()
    report_bytes = sum(len(row["body"] if isinstance(row, dict) else row[1]) for row in rows)
    gauge("rows_held", len(rows) if isinstance(rows, list) else 0)
    mark()
print(f"{report_bytes} bytes in the last report")
