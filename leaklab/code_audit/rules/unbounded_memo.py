"""functools.cache on a function with arguments: every different call stays."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.codes import first_to_run
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Function, Module, keyword


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield functions with arguments under ``cache`` or ``lru_cache(maxsize=None)``.

    Methods are ruff's B019, which sees the instance in the key.
    """
    for node in module.nodes(ast.FunctionDef, ast.AsyncFunctionDef):
        if isinstance(module.parent(node), ast.ClassDef) or not _has_arguments(node):
            continue
        for decorator in node.decorator_list:
            if is_unbounded_cache(module, decorator) and not is_emptied(module, node.name):
                path = module.qualname(node) or node.name
                local = module.function_of(node) is not None
                yield module.candidate(
                    RULE.id,
                    RULE.title,
                    f"{path} remembers every call with other arguments, without a limit",
                    decorator,
                    name=path,
                    lines=(node,),
                    runs=first_to_run(node),
                    watches=() if local else (module.watch(path),),
                    resources=("heap_bytes",),
                    holders=(f"{path} → cache", path),
                )


def _has_arguments(node: Function) -> bool:
    arguments = node.args
    return bool(arguments.args or arguments.kwonlyargs or arguments.vararg or arguments.posonlyargs)


def is_emptied(module: Module, name: str) -> bool:
    """Whether ``name.cache_clear()`` is called as the program works, not at its start or end."""
    return any(
        called is not None
        and called.split(".")[-2:] == [name, "cache_clear"]
        and not module.runs_once(module.function_of(call))
        for call, called in module.calls
    )


def is_unbounded_cache(module: Module, decorator: ast.expr) -> bool:
    """Whether a decorator is functools.cache, or lru_cache with maxsize=None."""
    if isinstance(decorator, ast.Call):
        if module.dotted(decorator.func) != "functools.lru_cache":
            return False
        size = keyword(decorator, "maxsize") or (decorator.args[0] if decorator.args else None)
        return isinstance(size, ast.Constant) and size.value is None
    return module.dotted(decorator) == "functools.cache"


RULE = Rule(
    id="LL004",
    title="memo of a function without a limit",
    why=(
        "functools.cache and lru_cache(maxsize=None) keep every argument and every answer for the "
        "life of the process. Harmless for a handful of settings, a leak for ids and texts."
    ),
    cases=("client-cache", "dependency-caches"),
    bad="""
import functools

@functools.cache
def profile(user_id):
    return {"user": user_id}
""",
    good="""
import functools

@functools.lru_cache(maxsize=512)
def profile(user_id):
    return {"user": user_id}
""",
    check=check,
)
