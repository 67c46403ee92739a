"""How often a cell will call ``mark()``, where its text and the kernel's names tell."""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
# What else than a loop may stand around the call without changing how often it is made.
_AROUND = (ast.Module, ast.Expr, ast.With, ast.AsyncWith)
_LEAVES_EARLY = (ast.Break, ast.Continue)
_SIZED = (range, list, tuple, set, frozenset, dict, str, bytes)


def mark_count(cell: str, names: Mapping[str, Any]) -> int | None:
    """Return how often the cell calls ``mark()``; None where that cannot be told beforehand.

    It can for one call in loops over ranges, or over what is there already: ``names``.

    >>> mark_count("for number in range(40):\\n    work()\\n    mark()", {})
    40
    """
    try:
        tree = ast.parse(cell)
    except (SyntaxError, ValueError):  # the cell's own to tell
        return None
    above = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    calls = [node for node in above if isinstance(node, ast.Call) and _is_mark(node.func)]
    if len(calls) != 1:
        return None
    counts = _Counts(tree, names)
    total = 1
    node: ast.AST = calls[0]
    while node in above:
        inner, node = node, above[node]
        if isinstance(node, ast.For | ast.AsyncFor) and inner in node.body:
            count = counts.of_loop(node)
            if count is None:
                return None
            total *= count
        elif not isinstance(node, _AROUND):
            return None
    return total or None


def _is_mark(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return function.attr == "mark"
    return isinstance(function, ast.Name) and function.id == "mark"


class _Counts:
    """Works out numbers from a cell's text and the kernel's ``names``."""

    def __init__(self, tree: ast.Module, names: Mapping[str, Any]) -> None:
        nodes = list(ast.walk(tree))
        uses = [node for node in nodes if isinstance(node, ast.Name)]
        stored = [node.id for node in uses if not isinstance(node.ctx, ast.Load)]
        imported = [node.asname or node.name for node in nodes if isinstance(node, ast.alias)]
        self._names = {} if "*" in imported else names
        self._bound = {*stored, *imported}
        self._used_count = Counter(node.id for node in uses)
        # A name of the cell's own counts where it is bound once, to a number.
        self._own = {
            target.id: statement.value.value
            for statement in tree.body
            if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
            for target in statement.targets
            if isinstance(target, ast.Name) and stored.count(target.id) == 1
        }

    def of_loop(self, loop: ast.For | ast.AsyncFor) -> int | None:
        """How often its body runs."""
        if any(isinstance(node, _LEAVES_EARLY) for node in ast.walk(loop)):
            return None
        return self._length(loop.iter)

    def _length(self, what: ast.expr) -> int | None:
        if isinstance(what, ast.Call) and isinstance(what.func, ast.Name) and not what.keywords:
            if what.func.id == "enumerate" and len(what.args) == 1:
                return self._length(what.args[0])
            numbers = [number for one in what.args if (number := self._number(one)) is not None]
            if what.func.id != "range" or len(numbers) != len(what.args):
                return None
            return len(range(*numbers)) if 0 < len(numbers) <= 3 and numbers[2:] != [0] else None
        if isinstance(what, ast.Name) and what.id not in self._bound:
            value = self._names.get(what.id)
            # Whoever names it elsewhere in the cell may change it.
            is_known = type(value) in _SIZED and self._used_count[what.id] == 1
            return len(value) if is_known and value is not None else None
        return None

    def _number(self, what: ast.expr) -> int | None:
        value: Any = None
        if isinstance(what, ast.Constant):
            value = what.value
        elif isinstance(what, ast.Name):
            own = self._own.get(what.id)
            value = own if what.id in self._bound else self._names.get(what.id)
        elif isinstance(what, ast.BinOp) and type(what.op) in _OPERATORS:
            left, right = self._number(what.left), self._number(what.right)
            if left is not None and right is not None:
                value = _OPERATORS[type(what.op)](left, right)
        return value if type(value) is int else None
