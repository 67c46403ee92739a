"""An exception that is kept keeps its traceback: every frame, and all their locals."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.containers import BOUNDED_TYPE, GROWING, Container
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module
from leaklab.code_audit.trimming import trims_itself


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield exceptions that are put into a container or attribute that outlives the handler."""
    for handler in module.nodes(ast.ExceptHandler):
        if handler.name is None:
            continue
        for node, path in _kept(module, project, handler, handler.name):
            yield module.candidate(
                RULE.id,
                RULE.title,
                f"{path} keeps the exception, and with its traceback the locals of every frame",
                node,
                name=path,
                runs=(node,),
                watches=(module.watch(path),) if "." not in path else (),
                resources=("heap_bytes", "fd_count"),
                holders=(path,),
            )


def _kept(
    module: Module, project: Project, handler: ast.ExceptHandler, name: str
) -> Iterable[tuple[ast.AST, str]]:
    containers = project.containers(module)
    for below in ast.walk(handler):
        if isinstance(below, ast.Call) and isinstance(below.func, ast.Attribute):
            container = containers.find(below.func.value, below)
            if below.func.attr in GROWING and container is not None:
                if any(_holds(a, name) for a in below.args) and not _has_bound(module, container):
                    yield below, container.path
        elif isinstance(below, ast.Assign) and _holds(below.value, name):
            for target in below.targets:
                base = target.value if isinstance(target, ast.Subscript) else None
                container = containers.find(base, below) if base is not None else None
                if container is not None and not _has_bound(module, container):
                    yield below, container.path


def _has_bound(module: Module, container: Container) -> bool:
    return container.kind == BOUNDED_TYPE or trims_itself(module, container)


def _holds(value: ast.expr, name: str) -> bool:
    """Whether a value is the exception, its traceback, or a literal around one."""
    if isinstance(value, ast.Name):
        return value.id == name
    if isinstance(value, ast.Attribute):
        return value.attr == "__traceback__" and _holds(value.value, name)
    if isinstance(value, (ast.Tuple, ast.List)):
        return any(_holds(each, name) for each in value.elts)
    if isinstance(value, ast.Dict):
        return any(_holds(each, name) for each in value.values)
    return False


RULE = Rule(
    id="LL010",
    title="stored exception",
    why=(
        "An exception holds its traceback, that the frames, and those every local: open files, "
        "responses, whole documents. Its text is what is worth keeping."
    ),
    cases=("file-handles", "urllib-opener"),
    bad="""
FAILURES = []

def work(path):
    try:
        with open(path) as file:
            return int(file.read())
    except ValueError as error:
        FAILURES.append(error)
""",
    good="""
FAILURES = []

def work(path):
    try:
        with open(path) as file:
            return int(file.read())
    except ValueError as error:
        FAILURES[:] = [*FAILURES[-99:], str(error)]
""",
    check=check,
)
