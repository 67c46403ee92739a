"""Which code object a place runs in, where its line alone does not tell.

The line of ``def put(key): ENTRIES[key] = 1`` runs as soon as the module is imported: it makes the
function. What the function does on it runs in a code object of its own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from leaklab.probe.executed import LONGEST_NAME

# Not a place of its own: a comprehension or generator belongs to the code around it.
INLINED = re.compile(r"\.<(locals|listcomp|setcomp|dictcomp|genexpr)>")


def code_of(node: ast.AST, ancestors: Iterable[ast.AST]) -> str:
    """The name of the code object that ``node`` runs in; "" where its line tells it by itself.

    ``ancestors`` are the nodes around it, the nearest first.
    """
    names: list[str] = []
    shared = False
    line, inner = getattr(node, "lineno", 1), node
    for above in ancestors:
        body = above.body if hasattr(above, "body") else ()
        if isinstance(above, ast.Lambda) and inner is body:
            names.insert(0, "<lambda>")
            # The expression around it may have parts on each of its lines.
            shared = True
        elif isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if inner in body:
                names.insert(0, above.name)
                shared = shared or line <= _last_of_head(above)
        inner = above
    return called(".".join(names)) if shared else ""


def first_to_run(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[ast.stmt, ...]:
    """The first statement of a function that makes code: its text and ``global`` do not."""
    silent = (ast.Global, ast.Nonlocal)
    for each in function.body:
        text = isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
        bare = isinstance(each, ast.AnnAssign) and each.value is None
        if not (text or bare or isinstance(each, silent)):
            return (each,)
    return tuple(function.body[:1])


def called(name: str) -> str:
    """The name of a code object as it is compared: what a recording or a stack calls it."""
    return INLINED.sub("", name[-LONGEST_NAME:])


def _last_of_head(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """The last line that runs where a function or class is made: its name, defaults, bases."""
    if isinstance(node, ast.ClassDef):
        parts: list[ast.AST | None] = [*node.bases, *(each.value for each in node.keywords)]
    else:
        parts = [*ast.iter_child_nodes(node.args), node.returns]
    return max(node.lineno, *(getattr(part, "end_lineno", 0) for part in parts if part), 0)
