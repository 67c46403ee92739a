"""What the cases that a notebook records allow for its parameters: known before a kernel starts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaklab.catalogue.model import Case
    from leaklab.catalogue.parameters import Parameter

_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def cases_of(notebook: Mapping[str, Any], values: Mapping[str, object]) -> list[Case]:
    """Return the cases that a notebook's code or the values of its parameters name.

    By id, or all of a mechanism by the mechanism's name.
    """
    from leaklab.catalogue.model import catalogue

    named = {value for value in values.values() if isinstance(value, str)}
    for cell in notebook.get("cells", ()):
        declares = "parameters" in cell.get("metadata", {}).get("tags", ())
        if cell.get("cell_type") == "code" and not declares:
            named |= set(_texts("".join(cell.get("source", ""))))
    return [one for one in catalogue().values() if {one.id, one.mechanism} & named]


def _texts(source: str) -> Iterator[str]:
    try:
        tree = ast.parse(_MAGIC.sub("pass", source))
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def check_cases(
    notebook: Mapping[str, Any],
    parameters: list[Parameter],
    given: Mapping[str, object],
) -> None:
    """Refuse a value that a case of the notebook does not take for its parameter of that name.

    The notebook's own default stands for each case's own value. Raises UsageError naming the case,
    the value and what it allows.
    """
    defaults = {one.name: one.default for one in parameters}
    changed = {name: value for name, value in given.items() if value != defaults[name]}
    for case in cases_of(notebook, {**defaults, **given}) if changed else ():
        case.values({name: value for name, value in changed.items() if name in case.parameters})


def least_values(
    notebook: Mapping[str, Any], parameters: list[Parameter]
) -> dict[str, int | float]:
    """Return the smallest value of each number that the notebook and all its cases take."""
    cases = cases_of(notebook, {one.name: one.default for one in parameters})
    least = {}
    for one in parameters:
        ends = [case.parameters[one.name].minimum for case in cases if one.name in case.parameters]
        known = [end for end in [*ends, None if ends else one.minimum] if end is not None]
        if known and one.type in ("int", "float"):
            least[one.name] = int(max(known)) if one.type == "int" else max(known)
    return least
