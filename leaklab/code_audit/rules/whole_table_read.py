"""A query that brings a whole table into memory."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module

LIMITED = re.compile(
    r"\b(where|limit|fetch first|count\(|sum\(|avg\(|max\(|min\(|group by|pragma)", re.I
)
SELECTS = re.compile(r"^\s*select\b.*\bfrom\b", re.I | re.S)


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield ``fetchall()`` after a SELECT that neither WHERE nor LIMIT nor a sum makes small."""
    for call in module.nodes(ast.Call):
        if getattr(call.func, "attr", None) != "fetchall":
            continue
        function = module.function_of(call)
        if function is None:
            continue
        queries = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        whole = [text for text in queries if SELECTS.match(text) and not LIMITED.search(text)]
        if whole:
            yield module.candidate(
                RULE.id,
                RULE.title,
                f"fetchall() of {whole[0].strip()[:60]!r}: what it holds grows with the table",
                call,
                runs=(call,),
                resources=("heap_bytes",),
            )


RULE = Rule(
    id="LL022",
    title="whole table read at once",
    why=(
        "The rows of a growing table are in memory all at once, each time a little more. A named "
        "cursor or a LIMIT holds a page of them."
    ),
    cases=("fetchall-rows",),
    bad="""
def report(cursor):
    cursor.execute("SELECT id, body FROM answers")
    return cursor.fetchall()
""",
    good="""
def report(cursor, day):
    cursor.execute("SELECT id, body FROM answers WHERE day = %s", [day])
    return cursor.fetchall()
""",
    check=check,
)
