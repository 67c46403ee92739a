"""A cleanup by age that runs only once there are too many entries."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.containers import Containers
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import FUNCTIONS, Module


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield ``if len(STORE) > LIMIT:`` around an expiry by age that stands nowhere else."""
    containers = project.containers(module)
    for node in module.nodes(ast.If):
        function = module.function_of(node)
        name = _measured(module, node.test)
        if function is None or name is None:
            continue
        inside = [each for statement in node.body for each in ast.walk(statement)]
        if not _expires(module, inside, containers) or _expired_elsewhere(module, node):
            continue
        container = next((each for each in containers if each.name == name), None)
        path = container.path if container is not None else None
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{module.qualname(function)} expires what is old only above a limit on the number of "
            "entries: below it nothing ever expires",
            node,
            name=path,
            runs=(node,),
            watches=(module.watch(path),) if path else (),
            resources=("heap_bytes",),
            holders=(path,) if path else (),
        )


def _measured(module: Module, test: ast.expr) -> str | None:
    """The last name of X in ``len(X) > LIMIT``."""
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Gt, ast.GtE)):
        call = test.left
        if isinstance(call, ast.Call) and module.dotted(call.func) == "len" and call.args:
            return (module.spelled(call.args[0]) or "").rpartition(".")[2] or None
    return None


def _expires(module: Module, nodes: Iterable[ast.AST], containers: Containers) -> bool:
    """Whether entries are chosen by their age and deleted, here or in a function called here."""
    nodes = list(nodes)
    if _chooses_by_age(nodes):
        return True
    for each in nodes:
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name):
            for function in module.functions.get(each.func.id, ()):
                if _chooses_by_age(list(ast.walk(function))):
                    return True
    return False


def _chooses_by_age(nodes: list[ast.AST]) -> bool:
    """``now - something > limit`` in a comprehension's condition or an if."""
    for each in nodes:
        tests: list[ast.expr] = []
        if isinstance(each, ast.comprehension):
            tests = each.ifs
        elif isinstance(each, ast.If):
            tests = [each.test]
        for test in tests:
            if isinstance(test, ast.Compare) and isinstance(test.left, ast.BinOp):
                if isinstance(test.left.op, ast.Sub):
                    return True
    return False


def _expired_elsewhere(module: Module, node: ast.If) -> bool:
    """Whether the same function is also called outside of such a condition."""
    called = {
        each.func.id
        for statement in node.body
        for each in ast.walk(statement)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
    }
    for name in called:
        for use in module.references(name):
            inside = any(above is node for above in module.ancestors(use))
            call = module.parent(use)
            conditioned = any(isinstance(above, ast.If) for above in _up(module, use))
            if not inside and isinstance(call, ast.Call) and call.func is use and not conditioned:
                return True
    return False


def _up(module: Module, node: ast.AST) -> Iterable[ast.AST]:
    for above in module.ancestors(node):
        if isinstance(above, FUNCTIONS):
            return
        yield above


RULE = Rule(
    id="LL014",
    title="cleanup that runs only over a limit",
    why=(
        "Entries that are over stay until the limit on their number is reached; below it the store "
        "keeps everything, however old."
    ),
    cases=("rate-limit-buckets", "login-attempts"),
    bad="""
BUCKETS = {}

def cleanup(now):
    if len(BUCKETS) > 10_000:
        for key in [key for key, seen in BUCKETS.items() if now - seen > 3600]:
            del BUCKETS[key]
""",
    good="""
BUCKETS = {}

def cleanup(now):
    for key in [key for key, seen in BUCKETS.items() if now - seen > 3600]:
        del BUCKETS[key]
""",
    check=check,
)
