"""What a condition lets happen once: it asks whether that was done, or for what it has done."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from leaklab.code_audit.scopes import FUNCTIONS, Function, Module
from leaklab.code_audit.trimming import LEAVING, in_front_of

#: how one asks who is registered: ``logger.handlers``, ``has_handler(logger)``, ``get_job("x")``
ASKING = re.compile(
    r"handler|filter|listener|callback|receiver|reader|subscri|regist|connected|job", re.I
)
REMEMBERED = ("functools.cache", "functools.lru_cache")


def is_remembered(module: Module, function: Function) -> bool:
    """Whether a function without arguments is called once, as what it returns is remembered."""
    arguments = function.args
    if arguments.args or arguments.kwonlyargs or arguments.vararg or arguments.kwarg:
        return False
    decorators = [
        each.func if isinstance(each, ast.Call) else each for each in function.decorator_list
    ]
    return any(module.dotted(each) in REMEMBERED for each in decorators)


def happens_once(module: Module, node: ast.AST, receiver: ast.expr | None) -> bool:
    """Whether a condition around a place, or one in front of it that leaves, lets it by once.

    It looks at a global that is set there and never taken back, or at what the receiver has.
    """
    for test, is_met in _conditions(module, node):
        # One that is met the other way as well lets by who has not asked.
        split = isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) == is_met
        each = test.values if isinstance(test, ast.BoolOp) and split else [test]
        if receiver is not None and all(_asks(module, part, receiver) for part in each):
            return True
        state = _not_yet(test) if is_met else _already(test)
        if state is not None and _is_set_for_good(module, state, node):
            return True
    return False


def _conditions(module: Module, node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
    """The conditions a place stands under, each with whether it has to be met."""
    inner: ast.AST = module.statement_of(node)
    for above in module.ancestors(node):
        if isinstance(above, ast.If) and inner in above.body:
            yield above.test, True
        for each in in_front_of(inner, above):
            if isinstance(each, ast.If) and isinstance(each.body[-1], LEAVING) and not each.orelse:
                yield each.test, False
        if isinstance(above, FUNCTIONS):
            return
        if isinstance(above, (ast.stmt, ast.excepthandler)):
            inner = above


def _asks(module: Module, test: ast.expr, receiver: ast.expr) -> bool:
    name = module.spelled(receiver)
    parts = list(ast.walk(test))
    names = [str(getattr(part, "attr", None) or getattr(part, "id", "")) for part in parts]
    about = any(module.spelled(part) == name for part in parts if isinstance(part, ast.expr))
    return name is not None and about and any(ASKING.search(each) for each in names if each != name)


def _not_yet(test: ast.expr) -> ast.expr | None:
    """What ``not X`` and ``X is None`` look at."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return _compared_with_none(test, ast.Is)


def _already(test: ast.expr) -> ast.expr | None:
    """What ``X`` and ``X is not None`` look at."""
    if isinstance(test, ast.Compare):
        return _compared_with_none(test, ast.IsNot)
    return test


def _compared_with_none(test: ast.expr, kind: type[ast.cmpop]) -> ast.expr | None:
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], kind):
        return None
    limit = test.comparators[0]
    return test.left if isinstance(limit, ast.Constant) and limit.value is None else None


def _is_set_for_good(module: Module, state: ast.expr, node: ast.AST) -> bool:
    """Whether the function sets a global, and no function sets it back to nothing."""
    function = module.function_of(node)
    if not isinstance(state, ast.Name) or module.is_local(state.id, function):
        return False
    values = [
        (module.function_of(each), each.value)
        for each in module.nodes(ast.Assign)
        if any(isinstance(target, ast.Name) and target.id == state.id for target in each.targets)
    ]
    inside = [value for where, value in values if where is function]
    later = [value for where, value in values if where is not None]
    return bool(inside) and not any(
        isinstance(each, ast.Constant) and not each.value for each in later
    )
