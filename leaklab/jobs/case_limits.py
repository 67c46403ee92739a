"""What the cases that a notebook records allow for its parameters: known before a kernel starts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
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
    for tree in _code(notebook):
        constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
        named |= {node.value for node in constants if isinstance(node.value, str)}
    return [one for one in catalogue().values() if {one.id, one.mechanism} & named]


def _code(notebook: Mapping[str, Any]) -> Iterator[ast.Module]:
    """Yield the code cells that can be read, without the one that declares the parameters."""
    for cell in notebook.get("cells", ()):
        declares = "parameters" in cell.get("metadata", {}).get("tags", ())
        if cell.get("cell_type") == "code" and not declares:
            with suppress(SyntaxError):
                yield ast.parse(_MAGIC.sub("pass", "".join(cell.get("source", ""))))


class _Names:
    """The cases and variants that a notebook takes by the values of its parameters.

    Followed is what runs whatever the values are: ``ll.case(NAME)``, and ``record(VARIANT)`` of it.
    """

    def __init__(self, notebook: Mapping[str, Any], values: Mapping[str, object]) -> None:
        trees = list(_code(notebook))
        nodes = [node for tree in trees for node in ast.walk(tree)]
        set_anew = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self._values = {name: value for name, value in values.items() if name not in set_anew}
        plain = (ast.Assign, ast.AnnAssign, ast.Expr)
        self._always = [one for tree in trees for one in tree.body if isinstance(one, plain)]
        self._bound: dict[str, Case] = {}

    def check(self) -> None:
        """Raise UsageError for the first case or variant that there is not."""
        for statement in self._always:
            for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
                self._case(call)
                if isinstance(call.func, ast.Attribute) and call.func.attr == "record":
                    one, variant = self._receiver(call.func.value), self._first(call)
                    if one is not None and variant is not None:
                        one.variant(variant)
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as made):
                    if (one := self._case(made)) is not None:
                        self._bound[name] = one

    def _receiver(self, of: ast.expr) -> Case | None:
        if isinstance(of, ast.Name):
            return self._bound.get(of.id)
        return self._case(of) if isinstance(of, ast.Call) else None

    def _case(self, call: ast.Call) -> Case | None:
        from leaklab.catalogue.model import case

        called = call.func.attr if isinstance(call.func, ast.Attribute) else None
        given = self._first(call)
        return case(given) if called == "case" and given is not None else None

    def _first(self, call: ast.Call) -> str | None:
        match call.args:
            case [ast.Constant(value=str(text)), *_]:
                return text
            case [ast.Name(id=name), *_] if isinstance(self._values.get(name), str):
                return str(self._values[name])
        return None


def check_cases(
    notebook: Mapping[str, Any],
    parameters: list[Parameter],
    given: Mapping[str, object],
) -> None:
    """Refuse a value that a case of the notebook does not take for its parameter of that name, and
    one that the notebook takes for the name of a case or variant and that is none.

    The notebook's own default stands for each case's own value. Raises UsageError naming the case,
    the value and what it allows.
    """
    defaults = {one.name: one.default for one in parameters}
    changed = {name: value for name, value in given.items() if value != defaults[name]}
    if not changed:
        return
    _Names(notebook, {**defaults, **given}).check()
    for case in cases_of(notebook, {**defaults, **given}):
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
