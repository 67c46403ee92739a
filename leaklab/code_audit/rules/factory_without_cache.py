"""A function that makes and returns a new engine, pool or executor at every call."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.rules.made_per_call import kept_in
from leaklab.code_audit.scopes import Function, Module
from leaklab.code_audit.things import CLOSING, SHARED, THINGS


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield factories of things made to be shared whose callers neither keep nor close them."""
    for call, called in module.calls:
        thing = THINGS.get(called or "")
        function = module.function_of(call)
        if thing is None or thing.kind not in SHARED or function is None:
            continue
        if not _returned(module, call, function) or _remembered(module, function):
            continue
        callers = _calls_of(module, function)
        if not callers or all(_ends_well(module, each) for each in callers):
            continue
        holders = [
            name
            for each in callers
            if (outer := module.function_of(each)) is not None
            for name in kept_in(module, each, outer)
        ]
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{module.qualname(function)} makes a new {thing.kind} at each call; it is meant to be "
            "made once and shared",
            call,
            runs=(call,),
            resources=thing.resources,
            holders=tuple(holders),
        )


def _returned(module: Module, call: ast.Call, function: Function) -> bool:
    above = module.parent(call)
    if isinstance(above, ast.Return):
        return True
    if isinstance(above, ast.Assign) and isinstance(above.targets[0], ast.Name):
        name = above.targets[0].id
        return module.is_local(name, function) and any(
            isinstance(below, ast.Return)
            and isinstance(below.value, ast.Name)
            and below.value.id == name
            for below in ast.walk(function)
        )
    return False


def _remembered(module: Module, function: Function) -> bool:
    cached = any(
        (module.dotted(each.func if isinstance(each, ast.Call) else each) or "").endswith("cache")
        for each in function.decorator_list
    )
    return cached or any(isinstance(below, ast.Global) for below in ast.walk(function))


def _calls_of(module: Module, function: Function) -> list[ast.Call]:
    found = []
    for use in module.references(function.name):
        call = module.parent(use)
        if isinstance(call, ast.Call) and call.func is use:
            found.append(call)
    return found


def _ends_well(module: Module, call: ast.Call) -> bool:
    """Whether the caller makes it once, closes it or uses it in a with statement."""
    function = module.function_of(call)
    if module.runs_once(function) and module.loop_of(call) is None:
        return True
    above = module.parent(call)
    if isinstance(above, ast.Attribute) and above.attr in CLOSING:
        return True
    if isinstance(above, ast.withitem):
        return True
    if isinstance(above, ast.Assign) and function is not None:
        names = [each.id for each in above.targets if isinstance(each, ast.Name)]
        return any(
            (name, closing) in module.attribute_calls for name in names for closing in CLOSING
        )
    return False


RULE = Rule(
    id="LL007",
    title="factory of engines or pools without a memory",
    why=(
        "Engines, pools, executors and schedulers are made once and shared. One per task or "
        "request opens its own connections or threads each time."
    ),
    cases=("engine-per-task", "pool-per-request", "urllib-opener"),
    bad="""
from sqlalchemy import create_engine

def get_engine():
    return create_engine("sqlite://")

def task():
    engine = get_engine()
    engine.connect().execute("SELECT 1")
""",
    good="""
import functools
from sqlalchemy import create_engine

@functools.cache
def get_engine():
    return create_engine("sqlite://")

def task():
    engine = get_engine()
    engine.connect().execute("SELECT 1")
""",
    check=check,
)
