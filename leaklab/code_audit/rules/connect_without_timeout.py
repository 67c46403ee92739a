"""A connection to a database that waits for ever."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module

# what connects: the keyword that limits it
TIMEOUTS = {
    "psycopg2.connect": "connect_timeout",
    "psycopg.connect": "connect_timeout",
    "psycopg2.pool.ThreadedConnectionPool": "connect_timeout",
    "psycopg2.pool.SimpleConnectionPool": "connect_timeout",
    "pymongo.MongoClient": "serverSelectionTimeoutMS",
    "smtplib.SMTP": "timeout",
    "ftplib.FTP": "timeout",
    "socket.create_connection": "timeout",
    "urllib.request.urlopen": "timeout",
    "redis.Redis": "socket_timeout",
}
# how many positional arguments come before the limit, where it is one
POSITIONS = {"socket.create_connection": 1, "urllib.request.urlopen": 2}


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield connects without a time limit; HTTP through requests is ruff's S113."""
    for call, called in module.calls:
        word = TIMEOUTS.get(called or "")
        if word is None or _limits(module, call, word) or module.function_of(call) is None:
            continue
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{called} without {word}: a peer that says nothing holds the thread and its "
            "descriptor for ever",
            call,
            runs=(call,),
            resources=("thread_count", "fd_count"),
            holders=(),
        )


def _limits(module: Module, call: ast.Call, word: str) -> bool:
    if any(each.arg == word for each in call.keywords):
        return True
    if len(call.args) > POSITIONS.get(module.dotted(call.func) or "", len(call.args)):
        return True
    dynamic = any(each.arg is None for each in call.keywords)
    texts = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    if any(isinstance(text, str) and word in text for text in texts):
        return True
    # Settings put together elsewhere in the module.
    return dynamic and any(
        isinstance(node.value, str) and node.value == word for node in module.nodes(ast.Constant)
    )


RULE = Rule(
    id="LL021",
    title="connection without a timeout",
    why=(
        "A server that accepts and is silent keeps each attempt, with its thread and descriptor. "
        "With a timeout the number that hang is the timeout times their rate."
    ),
    cases=("connect-timeout",),
    bad="""
import psycopg2

def query(url):
    connection = psycopg2.connect(url)
    try:
        return connection.cursor()
    finally:
        connection.close()
""",
    good="""
import psycopg2

def query(url):
    connection = psycopg2.connect(url, connect_timeout=10)
    try:
        return connection.cursor()
    finally:
        connection.close()
""",
    check=check,
)
