"""What a notebook takes, and whether given values fit: decided before anything starts.

A notebook says it in one cell tagged ``parameters``, one assignment a line::

    iterations: int = 200  # requests served [10..100000]
    drop: str = "kept"     # what happens to the client [kept|dropped|closed]

The annotation is the type, the comment the help; a range or a choice may end it. papermill reads
the same cell (``papermill --help-notebook``) but accepts anything; this module does not.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leaklab.errors import LeaklabError, UsageError

TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_TRUE_FALSE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_LIMIT = re.compile(r"\s*\[(?P<limit>[^\[\]]+)\]\s*$")
_RANGE = re.compile(r"\s*(?P<low>-?[\d.e+-]*?)\s*\.\.\s*(?P<high>-?[\d.e+-]*?)\s*$")


@dataclass(frozen=True)
class NotebookParameter:
    """One parameter: its type's name, default, help text and, where stated, what is allowed."""

    name: str
    type: str
    default: int | float | bool | str
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """What a value must be, for a message or a listing: ``int in 10..100000``."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.minimum is None and self.maximum is None:
            return {"bool": "true or false"}.get(self.type, self.type)
        ends = ["" if end is None else f"{end:g}" for end in (self.minimum, self.maximum)]
        return f"{self.type} in {ends[0]}..{ends[1]}"

    def value(self, given: object) -> int | float | bool | str:
        """`given` (text from a command line, or a Python value) as this parameter's type.

        Raises UsageError when it is not of the type or not allowed.
        """
        value = _typed(given, self.type)
        fits = value is not None
        if fits and self.choices:
            fits = value in self.choices
        if fits and self.type in ("int", "float"):
            low = self.minimum if self.minimum is not None else float("-inf")
            high = self.maximum if self.maximum is not None else float("inf")
            fits = low <= float(value) <= high  # type: ignore[arg-type]
        if not fits:
            raise UsageError(f"parameter {self.name}: {given!r}; allowed is {self.allowed}")
        assert value is not None
        return value


def notebook_parameters(notebook: Mapping[str, Any], name: str) -> list[NotebookParameter]:
    """The parameters of `notebook` (its JSON), in the order of the cell.

    `name` is what messages call it. Raises LeaklabError when it has no parameters cell, several,
    or one that says less than a type and a default for each parameter.
    """
    cells = [
        cell
        for cell in notebook.get("cells", ())
        if "parameters" in cell.get("metadata", {}).get("tags", ())
    ]
    if len(cells) != 1:
        found = "no cell" if not cells else f"{len(cells)} cells"
        raise LeaklabError(
            f"{name}: {found} tagged 'parameters'; tag exactly one cell, with lines such as "
            "'iterations: int = 200  # requests served'"
        )
    source = cells[0].get("source", "")
    return _parse_cell("".join(source), name)


def check_values(
    parameters: list[NotebookParameter], given: Mapping[str, object], name: str
) -> dict[str, Any]:
    """`given` with every value in its parameter's type; parameters not given are left out.

    Raises UsageError for the first unknown name or value that is not allowed.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for unknown in given.keys() - known.keys():
        allowed = ", ".join(known) or "none"
        raise UsageError(f"{name} has no parameter: {unknown}; its parameters are {allowed}")
    return {key: known[key].value(value) for key, value in given.items()}


def describe(parameters: list[NotebookParameter]) -> str:
    """The listing `leaklab run NOTEBOOK --help-notebook` prints: one line each, aligned."""
    rows = [
        (parameter.name, parameter.allowed, repr(parameter.default), parameter.help)
        for parameter in parameters
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  default {row[2]:<{widths[2]}}  {row[3]}"
        for row in rows
    )


def _parse_cell(source: str, name: str) -> list[NotebookParameter]:
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise LeaklabError(
            f"{name}: the parameters cell is no Python: {error.msg}, line {error.lineno}; mend it"
        ) from None
    comments = _comments(source)
    return [_parse_statement(statement, comments, name) for statement in statements]


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _parse_statement(statement: ast.stmt, comments: dict[int, str], name: str) -> NotebookParameter:
    line = ast.unparse(statement)
    if not (
        isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and statement.value is not None
    ):
        raise LeaklabError(
            f"{name}: a line of the parameters cell is no parameter: {line}; "
            "write 'name: type = default  # help'"
        )
    type_name = ast.unparse(statement.annotation)
    if type_name not in TYPES:
        raise LeaklabError(
            f"{name}: parameter {statement.target.id} has the type {type_name}; "
            f"allowed is {', '.join(TYPES)}"
        )
    text, limits = _split_limit(comments.get(statement.end_lineno or 0, ""), type_name)
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        default = None
    parameter = NotebookParameter(statement.target.id, type_name, default, text, **limits)
    try:
        parameter.value(default)
    except UsageError as error:
        raise LeaklabError(f"{name}: the default of {error}") from None
    return parameter


def _split_limit(comment: str, type_name: str) -> tuple[str, dict[str, Any]]:
    match = _LIMIT.search(comment)
    if match is None:
        return comment, {}
    limit, text = match["limit"], comment[: match.start()]
    if type_name == "str" and "|" in limit:
        return text, {"choices": tuple(choice.strip() for choice in limit.split("|"))}
    ends = _RANGE.match(limit)
    if type_name in ("int", "float") and ends is not None:
        low, high = ends["low"], ends["high"]
        return text, {
            "minimum": float(low) if low else None,
            "maximum": float(high) if high else None,
        }
    return comment, {}


def _typed(given: object, type_name: str) -> int | float | bool | str | None:
    """`given` as the named type; None when it is none."""
    wanted = TYPES[type_name]
    if isinstance(given, str) and wanted is not str:
        if wanted is bool:
            return _TRUE_FALSE.get(given.strip().lower())
        try:
            number: int | float = wanted(given)
        except ValueError:
            return None
        return number
    if wanted is float and type(given) is int:
        return float(given)
    return given if type(given) is wanted else None  # type: ignore[return-value]
