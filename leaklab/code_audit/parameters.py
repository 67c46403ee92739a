"""Which parameters a module's functions take entries out of: ``shorten(ENTRIES)``."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Container

from leaklab.code_audit.scopes import Module


def shrunk_parameters(module: Module, methods: Container[str]) -> dict[str, set[int]]:
    """By the bare name of a function: the places of the parameters that it takes entries out of.

    ``methods`` are those that take something out.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for base in _shrunk(module, methods):
        function = module.function_of(base)
        if function is not None and isinstance(base, ast.Name):
            names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
            if base.id in names:
                found[function.name].add(names.index(base.id))
    return found


def _shrunk(module: Module, methods: Container[str]) -> list[ast.expr]:
    """Everything that a method, ``del`` or an assigned slice takes entries out of."""
    found = [
        call.func.value
        for call in module.nodes(ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr in methods
    ]
    for node in module.nodes(ast.Subscript):
        cut = isinstance(node.ctx, ast.Store) and isinstance(node.slice, ast.Slice)
        if cut or isinstance(node.ctx, ast.Del):
            found.append(node.value)
    return found
