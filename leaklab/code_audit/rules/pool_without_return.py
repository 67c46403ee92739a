"""Something borrowed from a pool that an error keeps from going back."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Function, Module

# what borrows: what gives back
PAIRS = {"getconn": "putconn", "raw_connection": "close", "checkout": "checkin"}


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield ``pool.getconn()`` whose ``putconn`` is missing or not in a finally."""
    for call in module.nodes(ast.Call):
        method = getattr(call.func, "attr", None)
        function = module.function_of(call)
        if method not in PAIRS or function is None:
            continue
        if isinstance(module.parent(call), (ast.Return, ast.Yield, ast.withitem)):
            continue
        if _given_back(module, function, PAIRS[method]):
            continue
        base = call.func.value
        path = (
            base.id
            if isinstance(base, ast.Name) and not module.is_local(base.id, function)
            else None
        )
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{method}() in {module.qualname(function)} without {PAIRS[method]}() in a finally: an "
            "error in between keeps the connection",
            call,
            name=path,
            runs=(call,),
            watches=(module.watch(path),) if path else (),
            resources=("fd_count", "heap_bytes"),
            holders=(path,) if path else (),
        )


def _given_back(module: Module, function: Function, method: str) -> bool:
    for below in ast.walk(function):
        if isinstance(below, ast.Try):
            for statement in below.finalbody:
                for each in ast.walk(statement):
                    if isinstance(each, ast.Attribute) and each.attr == method:
                        return True
        if isinstance(below, ast.withitem) and "closing" in ast.dump(below.context_expr):
            return True
    # A generator or context manager of the class gives it back in another method.
    owner = module.class_of(function)
    return owner is not None and function.name == "__enter__"


RULE = Rule(
    id="LL017",
    title="connection that an error keeps from its pool",
    why=(
        "The pool counts what is out. A connection lost on the way is never given out again: after "
        "as many errors as the pool has places every request is refused."
    ),
    cases=("pool-without-putconn",),
    bad="""
def handle(pool):
    connection = pool.getconn()
    connection.cursor().execute("SELECT 1")
    pool.putconn(connection)
""",
    good="""
def handle(pool):
    connection = pool.getconn()
    try:
        connection.cursor().execute("SELECT 1")
    finally:
        pool.putconn(connection)
""",
    check=check,
)
