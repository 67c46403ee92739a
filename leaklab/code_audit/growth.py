"""Which changes of a container are growth that nothing in the source bounds."""

from __future__ import annotations

import ast
import re

from leaklab.code_audit.containers import Change, Container
from leaklab.code_audit.scopes import FUNCTIONS, Loop, Module


def unbounded_growth(module: Module, container: Container) -> list[Change]:
    """The places where a container grows with the work, without a limit around them."""
    return [
        change
        for change in container.grows
        if not is_guarded(module, container, change)
        and grows_with_work(module, change)
        and not is_registration(module, change)
        and not has_few_keys(change)
    ]


# What these name has a handful of values, whatever the traffic.
FEW_VALUES = re.compile(
    r"(^|_)(route|endpoint|method|status|status_code|code|kind|type|level|weekday|hour|__name__|"
    r"__class__)$"
)


def has_few_keys(change: Change) -> bool:
    """Whether a new key is one of a few: a status, a type, a remainder."""
    node = change.node
    key: ast.expr | None = node.slice if isinstance(node, ast.Subscript) else None
    if isinstance(node, ast.Call) and change.how in ("add", "setdefault") and node.args:
        key = node.args[0]
    if isinstance(key, ast.BinOp):
        # The remainder of a number; after a text the sign formats.
        left = key.left.value if isinstance(key.left, ast.Constant) else None
        return isinstance(key.op, ast.Mod) and not isinstance(left, str)
    if isinstance(key, ast.Call):
        return isinstance(key.func, ast.Name) and key.func.id in ("type", "bool")
    name = getattr(key, "attr", None) or getattr(key, "id", None)
    return bool(name and FEW_VALUES.search(name))


def lasting_shrinks(module: Module, container: Container) -> tuple[list[Change], list[str]]:
    """What takes entries out, and the cleaning functions among it that the module never calls.

    Those count only where another module calls them.
    """
    called, uncalled = [], []
    for change in container.shrinks:
        name = change.function.name if change.function is not None else ""
        if CLEANING.search(name) and not module.references(name):
            uncalled.append(name)
        else:
            called.append(change)
    return called, uncalled


CLEANING = re.compile(r"(clean|prune|expire|evict|purge|sweep|trim|shrink|drop_old|remove_old)")


def nothing_shrinks(uncalled: list[str]) -> str:
    """How a message says that entries stay."""
    if not uncalled:
        return "nothing takes entries out"
    return f"nothing calls {uncalled[0]}(), which would take entries out"


def is_guarded(module: Module, container: Container, change: Change) -> bool:
    """Whether a condition around it looks at the container's length, or at its being empty."""
    for above in module.ancestors(change.node):
        if isinstance(above, FUNCTIONS):
            return False
        if isinstance(above, (ast.If, ast.While, ast.IfExp)):
            for part in ast.walk(above.test):
                if _is_length(module, part, container) or _is_emptiness(module, part, container):
                    return True
    return False


def _is_length(module: Module, node: ast.AST, container: Container) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "len"
        and len(node.args) == 1
        and module.spelled(node.args[0]) is not None
        and str(module.spelled(node.args[0])).rpartition(".")[2] == container.name
    )


def _is_emptiness(module: Module, node: ast.AST, container: Container) -> bool:
    return (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.Not)
        and (module.spelled(node.operand) or "").rpartition(".")[2] == container.name
    )


def grows_with_work(module: Module, change: Change) -> bool:
    """Whether it happens again and again, not once while the program starts."""
    loop = module.loop_of(change.node)
    if change.function is None:
        return loop is not None and is_endless(module, loop)
    if change.function.name in ("__init__", "__post_init__", "__new__", "__init_subclass__"):
        return False
    if module.runs_once(change.function):
        return loop is not None and is_endless(module, loop)
    return True


def is_endless(module: Module, loop: Loop) -> bool:
    """Whether a loop is over a stream or a count, not over a collection that is there already."""
    if isinstance(loop, (ast.While, ast.AsyncFor)):
        return True
    called = module.dotted(loop.iter.func) if isinstance(loop.iter, ast.Call) else None
    if called in ("range", "iter", "itertools.count", "itertools.repeat", "itertools.cycle"):
        return True
    outer = module.loop_of(loop)
    return outer is not None and is_endless(module, outer)


def is_registration(module: Module, change: Change) -> bool:
    """Whether it is what a decorator does: it stores what it was given and returns it."""
    function = change.function
    if function is None:
        return False
    arguments = {argument.arg for argument in function.args.args} - {"self", "cls"}
    returned = {
        below.value.id
        for below in ast.walk(function)
        if isinstance(below, ast.Return) and isinstance(below.value, ast.Name)
    }
    statement = module.statement_of(change.node)
    stored = {
        below.id
        for below in ast.walk(statement)
        if isinstance(below, ast.Name) and isinstance(below.ctx, ast.Load)
    }
    if arguments & returned & stored:
        return True
    decorates = any(
        function.name in {name for d in other.decorator_list for name in _names(d)}
        for others in module.functions.values()
        for other in others
    )
    return decorates or any(
        function.name in {name for d in each.decorator_list for name in _names(d)}
        for each in module.classes.values()
    )


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} | {
        each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)
    }
