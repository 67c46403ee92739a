"""Which changes of a container are growth that nothing in the source bounds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from leaklab.code_audit.containers import Change, Container, kind_of
from leaklab.code_audit.scopes import FUNCTIONS, Function, Loop, Module
from leaklab.code_audit.trimming import is_guarded


def unbounded_growth(module: Module, container: Container) -> list[Change]:
    """The places where a container grows with the work, without a limit around them."""
    return [
        change
        for change in container.grows
        if not is_guarded(module, container, change)
        and grows_with_work(module, container, change)
        and not is_registration(module, change)
        and not has_few_keys(change)
        and not is_made_anew(module, container, change)
    ]


def is_made_anew(module: Module, container: Container, change: Change) -> bool:
    """Whether the same call has bound the container to an empty one before it grows there.

    Not where it grows in a loop without an end: that call is all the work there is.
    """
    function, loop = change.function, module.loop_of(change.node)
    if loop is not None and is_endless(module, loop):
        return False
    for statement in function.body if function is not None else ():
        if statement.lineno >= change.node.lineno:  # type: ignore[attr-defined]
            return False
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            is_its = any(_is_of(module, each, container, function) for each in targets)
            if is_its and _is_empty(module, statement.value):
                return True
    return False


def _is_of(
    module: Module, target: ast.expr, container: Container, function: Function | None
) -> bool:
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return target.value.id in ("self", "cls") and target.attr == container.name
    if isinstance(target, ast.Name) and container.scope == "module":
        return target.id == container.name and not module.is_local(target.id, function)
    return False


def _is_empty(module: Module, value: ast.expr | None) -> bool:
    if isinstance(value, (ast.List, ast.Set)):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    return isinstance(value, ast.Call) and not value.args and kind_of(module, value) is not None


# What these name has a handful of values, whatever the traffic.
FEW_VALUES = re.compile(
    r"(^|_)(route|endpoint|method|status|status_code|code|kind|type|level|weekday|hour|cls|"
    r"__name__|__class__)$"
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
    grown_in = {change.function for change in container.grows}
    for change in container.shrinks:
        name = change.function.name if change.function is not None else ""
        if name == "__del__" and any(_stores_self(module, each) for each in container.grows):
            uncalled.append(name)  # what the container holds is never finalised
        elif change.function in grown_in or not CLEANING.search(name) or module.references(name):
            called.append(change)
        else:
            uncalled.append(name)
    return called, uncalled


def _stores_self(module: Module, change: Change) -> bool:
    statement = module.statement_of(change.node)
    values: Iterable[ast.expr] = change.node.args if isinstance(change.node, ast.Call) else ()
    if isinstance(statement, ast.Assign):
        values = (statement.value,)
    return any(isinstance(each, ast.Name) and each.id == "self" for each in values)


CLEANING = re.compile(r"(clean|prune|expire|evict|purge|sweep|trim|shrink|drop_old|remove_old)")


def growing_places(module: Module, growth: Iterable[Change]) -> str:
    """How a message says where a container grows, and how: one of each function."""
    by_place = {
        module.qualname(each.function) or "the top level": each.how for each in reversed([*growth])
    }
    found = [f"{place} ({how})" for place, how in reversed(by_place.items())]
    more = f" and {len(found) - NAMED_COUNT} more" if len(found) > NAMED_COUNT else ""
    return ", ".join(found[:NAMED_COUNT]) + more


NAMED_COUNT = 3


def nothing_shrinks(uncalled: list[str]) -> str:
    """How a message says that entries stay."""
    if not uncalled:
        return "nothing takes entries out"
    return f"nothing calls {uncalled[0]}(), which would take entries out"


CONSTRUCTORS = ("__init__", "__post_init__", "__new__")


def grows_with_work(module: Module, container: Container, change: Change) -> bool:
    """Whether it happens again and again, not once while the program starts."""
    function = change.function
    if function is not None and function.name == "__init_subclass__":
        return False
    if function is not None and function.name in CONSTRUCTORS:
        # Of its own attributes an object fills a new one each time; what outlives it, it adds to.
        return container.scope != "instance" and is_made_with_work(module, function)
    return _runs_again(module, change.node)


def _runs_again(module: Module, node: ast.AST) -> bool:
    """Whether what stands there runs more often than once in the life of the program."""
    if not module.runs_once(module.function_of(node)):
        return True
    loop = module.loop_of(node)
    return loop is not None and is_endless(module, loop)


def is_made_with_work(module: Module, constructor: Function) -> bool:
    """Whether objects of the constructor's class are made as the program works.

    So it is taken to be of a class of which the module makes none. Classes and members of an
    enumeration are as many as the source has.
    """
    owner = module.class_of(constructor)
    if owner is None:
        return False
    kinds = {owner.name} | {each.name for each in module.derived_from(owner)}
    bases = [module.dotted(base) or "" for each in module.lineage(owner) for base in each.bases]
    if any(FIXED_BASES.search(base) for base in bases):
        return False
    if any(_decorates(module, name) for name in kinds):
        return False
    made = [
        call
        for call, called in module.calls
        if called in kinds or (called == "cls" and module.class_of(call) is owner)
    ]
    return not made or any(_runs_again(module, call) for call in made)


# Classes of classes, and enumerations.
FIXED_BASES = re.compile(r"(^|\.)(type|\w*Meta|Enum|IntEnum|StrEnum|Flag|IntFlag)$")


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
    return _decorates(module, function.name)


def _decorates(module: Module, name: str) -> bool:
    """Whether a function or class of the module is decorated by what has this name."""
    decorated = (*module.nodes(*FUNCTIONS), *module.nodes(ast.ClassDef))
    return any(name in _names(each) for node in decorated for each in node.decorator_list)


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} | {
        each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)
    }
