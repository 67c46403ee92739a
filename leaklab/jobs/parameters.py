"""What a notebook takes, and whether given values fit: decided before anything starts.

A notebook says it in one cell tagged ``parameters``, one assignment a line::

    iterations: int = 200  # requests served [10..100000]
    drop: str = "kept"     # what happens to the client [kept|dropped|closed]

The annotation is the type, the comment the help; a range or a choice may end it. Without an
annotation the default says the type, as in any notebook that was written for papermill; other lines
stay what they are and take no value. papermill reads the same cell (``papermill --help-notebook``)
but accepts anything; this module does not.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from leaklab.catalogue.declared import first_problem
from leaklab.catalogue.parameters import Parameter
from leaklab.catalogue.values import TYPES
from leaklab.errors import LeaklabError, UsageError

_LIMIT = re.compile(r"\s*\[(?P<limit>[^\[\]]+)\]\s*$")
_RANGE = re.compile(r"\s*(?P<low>-?[\d.e+-]*?)\s*\.\.\s*(?P<high>-?[\d.e+-]*?)\s*$")


def notebook_parameters(notebook: Mapping[str, Any], name: str) -> list[Parameter]:
    """The parameters of `notebook` (its JSON), in the order of the cell; none without such a cell.

    `name` is what messages call it. Raises LeaklabError when it has several parameters cells, or
    one that declares a default that is none of its values.
    """
    cells = [
        cell
        for cell in notebook.get("cells", ())
        if "parameters" in cell.get("metadata", {}).get("tags", ())
    ]
    if len(cells) > 1:
        raise LeaklabError(f"{name}: {len(cells)} cells tagged 'parameters'; tag one of them")
    return _parse_cell("".join(cells[0].get("source", "")), name) if cells else []


def check_values(
    parameters: list[Parameter], given: Mapping[str, object], name: str
) -> dict[str, Any]:
    """`given` with every value in its parameter's type; parameters not given are left out.

    Raises UsageError for the first unknown name or value that is not allowed.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for unknown in given.keys() - known.keys():
        allowed = ", ".join(known) or "none"
        raise UsageError(
            f"{name} has no parameter: {unknown}; its parameters are {allowed}; a line such as "
            f"'{unknown}: int = 5  # help' in its cell tagged 'parameters' makes one"
        )
    return {key: known[key].value(value) for key, value in given.items()}


def describe(parameters: list[Parameter]) -> str:
    """The listing `leaklab run NOTEBOOK --help-notebook` prints: one line each, aligned."""
    rows = [
        (parameter.name, parameter.allowed, repr(parameter.default), parameter.help)
        for parameter in parameters
    ]
    if not rows:
        return "no parameters"
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return "\n".join(
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  default {row[2]:<{widths[2]}}  {row[3]}"
        for row in rows
    )


def _parse_cell(source: str, name: str) -> list[Parameter]:
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise LeaklabError(
            f"{name}: the parameters cell is no Python: {error.msg}, line {error.lineno}; mend it"
        ) from None
    comments = _comments(source)
    found = (_parse_statement(statement, comments, name) for statement in statements)
    return [parameter for parameter in found if parameter is not None]


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _parse_statement(statement: ast.stmt, comments: dict[int, str], name: str) -> Parameter | None:
    """Return what a statement declares; None for one that declares nothing a value can be given."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=called), annotation=annotation, value=ast.expr()):
            type_name = ast.unparse(annotation)
        case ast.Assign(targets=[ast.Name(id=called)]):
            type_name = ""
        case _:
            return None
    try:
        default = ast.literal_eval(statement.value)  # type: ignore[arg-type]
    except ValueError:
        default = None
    type_name = type_name or type(default).__name__
    if type_name not in TYPES:
        return None
    text, limits = _split_limit(comments.get(statement.end_lineno or 0, ""), type_name)
    try:
        table = {"type": type_name, "default": default, "help": text, **limits}
        return Parameter.model_validate({"name": called, **table})
    except ValidationError as error:
        raise LeaklabError(f"{name}: {first_problem(error, Parameter)}") from None


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
