"""A client, session, pool, engine, executor or scheduler that is made in a call and not closed."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Function, Module
from leaklab.code_audit.things import CLOSING, THINGS, Thing


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield resources made in a function that neither closes them nor hands them on."""
    for call, called in module.calls:
        thing = THINGS.get(called or "")
        if thing is None or called == "subprocess.Popen":
            continue
        function = module.function_of(call)
        if function is None or (module.runs_once(function) and module.loop_of(call) is None):
            continue
        if is_handled(module, call, function, thing):
            continue
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"a {thing.kind} ({called}) is made at each call of {module.qualname(function)} and "
            "not closed there",
            call,
            runs=(call,),
            resources=thing.resources,
            holders=(*kept_in(module, call, function), *thing.holders),
        )


def is_handled(module: Module, call: ast.Call, function: Function, thing: Thing) -> bool:
    """Whether what a call makes is closed in this function, or handed to somebody who may."""
    node: ast.AST = call
    above = module.parent(node)
    while isinstance(above, (ast.Await, ast.NamedExpr, ast.IfExp)):
        node, above = above, module.parent(above)
    if isinstance(above, (ast.withitem, ast.Return, ast.Yield)):
        return True
    if isinstance(above, ast.Call) and node in above.args:
        # contextlib.closing(…), stack.enter_context(…), a constructor that takes it over; a
        # container's method only keeps it.
        return not (isinstance(above.func, ast.Attribute) and above.func.attr in _KEEPING)
    if isinstance(above, ast.keyword):
        return True
    if isinstance(above, (ast.Assign, ast.AnnAssign)):
        targets = above.targets if isinstance(above, ast.Assign) else [above.target]
        return all(_target_handled(module, target, function, thing) for target in targets)
    return False


_KEEPING = ("append", "add", "put", "put_nowait", "setdefault", "appendleft", "insert")


def _target_handled(module: Module, target: ast.expr, function: Function, thing: Thing) -> bool:
    if isinstance(target, ast.Tuple):  # figure, axes = plt.subplots()
        target = target.elts[0]
    if not isinstance(target, ast.Name):
        # An attribute is its owner's (LL006), an entry of a container that container's (LL001).
        return True
    name = target.id
    if not module.is_local(name, function):
        return True  # a global that is made on first use, or made anew: LL001 and LL007 look at it
    kept = False
    for below in ast.walk(function):
        # Called there, or handed on to be called: ``stack.callback(client.close)``
        if isinstance(below, ast.Attribute) and below.attr in CLOSING and _is(below.value, name):
            return True
        if thing.wrapped and isinstance(below, ast.Call) and _makes_owner(below, name):
            return True
        if isinstance(below, ast.Call) and isinstance(below.func, ast.Attribute):
            # ``plt.close(figure)``, ``os.close(descriptor)``
            if below.func.attr in CLOSING and any(_is(arg, name) for arg in below.args):
                return True
            # ``super().__init__(pool)``: the base class is its owner
            if below.func.attr == "__init__" and any(_is(arg, name) for arg in below.args):
                return True
            if below.func.attr in _KEEPING and any(_is(arg, name) for arg in below.args):
                kept = True
        elif (isinstance(below, ast.withitem) and _mentions(below.context_expr, name)) or (
            isinstance(below, (ast.Return, ast.Yield)) and _hands_on(below.value, name)
        ):
            return True
        elif isinstance(below, ast.Assign) and _is(below.value, name) and below.targets != [target]:
            if not all(isinstance(each, (ast.Name, ast.Subscript)) for each in below.targets):
                return True
    return False if kept else _passed_to_closer(module, name, function)


def _makes_owner(call: ast.Call, name: str) -> bool:
    """Whether a class is called with it: its object takes it over, as where it is made in the call.

    A function that is not seen to close it may just use it, which leaves it to the caller.
    """
    given = (*call.args, *(keyword.value for keyword in call.keywords))
    if not any(_is(value, name) for value in given):
        return False
    spelled = call.func.attr if isinstance(call.func, ast.Attribute) else call.func
    called = spelled.id if isinstance(spelled, ast.Name) else spelled
    return isinstance(called, str) and called.lstrip("_")[:1].isupper()


def _passed_to_closer(module: Module, name: str, function: Function) -> bool:
    """Whether it is passed to a function of the module that closes its parameter."""
    for below in ast.walk(function):
        if isinstance(below, ast.Call) and isinstance(below.func, ast.Name):
            for position, argument in enumerate(below.args):
                if not _is(argument, name):
                    continue
                for other in module.functions.get(below.func.id, ()):
                    if position < len(other.args.args):
                        parameter = other.args.args[position].arg
                        closes = any(
                            isinstance(each, ast.Attribute)
                            and each.attr in CLOSING
                            and _is(each.value, parameter)
                            for each in ast.walk(other)
                        )
                        if closes:
                            return True
    return False


def _is(node: ast.AST | None, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _mentions(node: ast.AST, name: str) -> bool:
    return any(_is(below, name) for below in ast.walk(node))


def _hands_on(value: ast.expr | None, name: str) -> bool:
    """Whether a returned value is, or holds, the object itself and not only something of it."""
    if value is None:
        return False
    if _is(value, name):
        return True
    if isinstance(value, (ast.Tuple, ast.List)):
        return any(_hands_on(each, name) for each in value.elts)
    if isinstance(value, ast.Call):
        return any(_is(each, name) for each in value.args)
    return False


def kept_in(module: Module, call: ast.Call, function: Function) -> Iterable[str]:
    """Names of containers that the function puts the new object into."""
    for below in ast.walk(function):
        if isinstance(below, ast.Call) and isinstance(below.func, ast.Attribute):
            if below.func.attr in _KEEPING:
                spelled = module.spelled(below.func.value)
                if spelled:
                    yield spelled


RULE = Rule(
    id="LL005",
    title="client, session, pool or executor made per call and not closed",
    why=(
        "Each holds sockets, threads or buffers until it is closed. Reference counting frees some "
        "of them, the cycle collector others later, and what is kept anywhere stays."
    ),
    cases=("http-clients", "keep-alive-pools", "exhaustion-test", "sqlite-sessions"),
    bad="""
import httpx

def fetch(url):
    client = httpx.Client()
    return client.get(url).json()
""",
    good="""
import httpx

def fetch(url):
    with httpx.Client() as client:
        return client.get(url).json()
""",
    check=check,
)
