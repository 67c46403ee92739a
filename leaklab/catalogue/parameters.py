"""Parameters of a case, and the expressions over them that expectations use."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leaklab.catalogue.reading import Table
from leaklab.errors import LeaklabError, UsageError

Value = int | float | str | bool

TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
BOOLEANS = {"true": True, "false": False}

OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a case. ``quick`` is the value at quick sizes (for reports and tests)."""

    name: str
    type: str
    default: Value
    quick: Value
    minimum: float | None
    maximum: float | None
    help: str

    def parse(self, value: object) -> Value:
        """``value`` (text from a command line, or typed) as this parameter's type.

        Raises `UsageError` when it is ill-typed or out of range.
        """
        parsed = self._typed(value)
        if parsed is None:
            raise UsageError(
                f"ill-typed value of parameter {self.name}: {value!r}; it must be {self.type}"
            )
        if isinstance(parsed, (int, float)):
            low, high = self.minimum, self.maximum
            if (low is not None and parsed < low) or (high is not None and parsed > high):
                raise UsageError(
                    f"parameter {self.name} out of range: {parsed}; allowed: {self.range_text()}"
                )
        return parsed

    def _typed(self, value: object) -> Value | None:
        wanted = TYPES[self.type]
        if type(value) is wanted:
            return value  # type: ignore[return-value]
        if wanted is float and type(value) is int:
            return float(value)
        if not isinstance(value, str):
            return None
        if wanted is bool:
            return BOOLEANS.get(value.lower())
        try:
            return wanted(value)  # type: ignore[no-any-return]
        except ValueError:
            return None

    def range_text(self) -> str:
        """The allowed range in words."""
        if self.minimum is None and self.maximum is None:
            return "any"
        if self.maximum is None:
            return f"at least {self.minimum:g}"
        if self.minimum is None:
            return f"at most {self.maximum:g}"
        return f"{self.minimum:g} to {self.maximum:g}"


def read_parameter(name: str, table: Table) -> Parameter:
    """A ``[parameters.NAME]`` table of case.toml."""
    kind = table.choice("type", tuple(TYPES))
    default, quick = table.raw("default"), table.raw("quick")
    parameter = Parameter(
        name=name,
        type=kind,
        default=default,
        quick=default if quick is None else quick,
        minimum=table.optional("minimum", float),
        maximum=table.optional("maximum", float),
        help=table.required("help", str),
    )
    table.finish()
    for key in ("default", "quick"):
        value = getattr(parameter, key)
        try:
            if isinstance(value, str) and kind != "str":
                raise UsageError(f"ill-typed value {value!r}; it must be of type {kind}")
            parameter.parse(value)
        except UsageError as error:
            raise LeaklabError(f"{table.file}: {table.name_of(key)}: {error}") from None
    return parameter


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
