"""What keeps a container within bounds where it grows: it is looked at, left, or cut back there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from leaklab.code_audit.containers import Change, Container
from leaklab.code_audit.scopes import FUNCTIONS, Module

LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)
#: methods of a container that say how full it is
FILLED = ("qsize", "full", "__len__")


def trims_itself(module: Module, container: Container) -> bool:
    """Whether every function that lets it grow also takes something out, or looks at its length."""
    cut_back = {change.function for change in container.shrinks}
    return bool(container.grows) and all(
        change.function in cut_back or is_guarded(module, container, change)
        for change in container.grows
    )


def is_guarded(module: Module, container: Container, change: Change) -> bool:
    """Whether it only happens under a condition on the container's length, or on its being empty.

    The condition stands around it, or in front of it and leaves once the container is full.
    """
    inner: ast.AST = module.statement_of(change.node)
    for above in module.ancestors(change.node):
        if isinstance(above, (ast.If, ast.While, ast.IfExp)):
            for part in ast.walk(above.test):
                if _is_length(module, part, container) or _is_emptiness(module, part, container):
                    return True
        if any(_leaves_when_full(module, each, container) for each in in_front_of(inner, above)):
            return True
        if isinstance(above, FUNCTIONS):
            return False
        if isinstance(above, (ast.stmt, ast.excepthandler)):
            inner = above
    return False


def in_front_of(statement: ast.AST, above: ast.AST) -> Iterator[ast.stmt]:
    """The statements of the same block that run before it."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(above, name, None)
        if isinstance(block, list) and statement in block:
            yield from block[: block.index(statement)]


def _leaves_when_full(module: Module, statement: ast.stmt, container: Container) -> bool:
    """``if len(ENTRIES) >= LIMIT: return``; with ``== 0`` it leaves while it is empty."""
    if not isinstance(statement, ast.If) or not isinstance(statement.body[-1], LEAVING):
        return False
    for test in ast.walk(statement.test):
        if isinstance(test, ast.Compare):
            operator, limit = test.ops[0], test.comparators[0]
            full = isinstance(operator, (ast.Gt, ast.GtE, ast.Eq))
            full = full and not (isinstance(limit, ast.Constant) and limit.value == 0)
            if full and _is_length(module, test.left, container):
                return True
            if isinstance(operator, (ast.Lt, ast.LtE)) and _is_length(module, limit, container):
                return True
        elif isinstance(test, ast.Call) and _is_length(module, test, container):
            if isinstance(test.func, ast.Attribute) and test.func.attr == "full":
                return True
    return False


def _is_length(module: Module, node: ast.AST, container: Container) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1:
        return _is_called(module, node.args[0], container)
    if isinstance(node.func, ast.Attribute) and node.func.attr in FILLED:
        return _is_called(module, node.func.value, container)
    return False


def _is_emptiness(module: Module, node: ast.AST, container: Container) -> bool:
    return (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.Not)
        and _is_called(module, node.operand, container)
    )


def _is_called(module: Module, node: ast.AST, container: Container) -> bool:
    """Whether an expression spells one of the container's names, whoever its owner is."""
    name = node.attr if isinstance(node, ast.Attribute) else module.spelled(node)
    return name in container.names
