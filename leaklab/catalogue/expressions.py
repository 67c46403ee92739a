"""Expressions over the parameters of a case, as expectations use them."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from leaklab.catalogue.parameters import Value
from leaklab.errors import LeaklabError

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def evaluate(expression: str | float, parameters: Mapping[str, Value]) -> float:
    """The value of a number or of an expression over parameters: names, numbers, + - * / only.

    Raises `LeaklabError` for anything else, an unknown name or a division by zero.
    """
    if isinstance(expression, (int, float)):
        return float(expression)
    try:
        return _value(ast.parse(expression, mode="eval").body, parameters)
    except (SyntaxError, ValueError, ZeroDivisionError) as error:
        raise LeaklabError(
            f"bad expression: {expression!r} ({error}); allowed: numbers, "
            f"+ - * / and the names {', '.join(sorted(parameters))}"
        ) from None


def _value(node: ast.expr, parameters: Mapping[str, Value]) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        value = parameters.get(node.id)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{node.id} is not a number among the parameters")
        return float(value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, parameters)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = _value(node.left, parameters), _value(node.right, parameters)
        return OPERATORS[type(node.op)](left, right)
    raise ValueError(f"{ast.unparse(node)} is not allowed")
