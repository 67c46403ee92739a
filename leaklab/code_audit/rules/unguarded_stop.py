"""A stop() that a flag alone protects from being called twice."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module

STOPPING = ("stop", "close", "shutdown", "cleanup", "terminate")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield stop methods that look at a flag, then set it, without a lock around both.

    Only in modules that know threads, and where no subclass of the module adds the lock.
    """
    if not any(
        name.partition(".")[0] in ("threading", "concurrent") for name in module.imports.values()
    ):
        return
    for node in module.nodes(ast.FunctionDef):
        owner = module.parent(node)
        if node.name not in STOPPING or not isinstance(owner, ast.ClassDef):
            continue
        if any(isinstance(below, (ast.With, ast.AsyncWith)) for below in ast.walk(node)):
            continue
        for test in ast.walk(node):
            if isinstance(test, ast.If):
                flag = _flag(module, test.test)
                if flag and _sets(module, node, flag) and _acts(module, node, flag):
                    if not _locked_below(module, owner, node.name):
                        yield module.candidate(
                            RULE.id,
                            RULE.title,
                            f"{module.qualname(node)} looks at {flag} and then sets it: two "
                            "threads both get through",
                            test,
                            runs=(test,),
                        )
                    break


def _flag(module: Module, test: ast.expr) -> str | None:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test = test.operand
    spelled = module.spelled(test)
    return spelled if spelled and spelled.startswith("self.") else None


def _sets(module: Module, node: ast.AST, flag: str) -> bool:
    return any(
        isinstance(below, ast.Assign)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, bool)
        and any(module.spelled(target) == flag for target in below.targets)
        for below in ast.walk(node)
    )


def _acts(module: Module, node: ast.AST, flag: str) -> bool:
    return any(
        isinstance(below, ast.Call)
        and isinstance(below.func, ast.Attribute)
        and (module.spelled(below.func) or "").startswith("self.")
        and below.func.attr != "wait"
        for below in ast.walk(node)
    )


def _locked_below(module: Module, owner: ast.ClassDef, method: str) -> bool:
    """Whether every use is through a subclass that locks around ``super().stop()``."""
    for other in module.classes.values():
        if any(module.spelled(base) == owner.name for base in other.bases):
            for below in other.body:
                if isinstance(below, ast.FunctionDef) and below.name == method:
                    if any(isinstance(each, ast.With) for each in ast.walk(below)):
                        return True
    return False


RULE = Rule(
    id="LL019",
    title="stop() that two threads can both enter",
    why=(
        "Between the look at the flag and its setting another thread may look as well; what is "
        "closed twice raises, or takes a resource that has been given to somebody else."
    ),
    cases=("double-stop",),
    bad="""
import threading

class Worker:
    def __init__(self):
        self.stopped = False
        self.thread = threading.Thread(target=print)

    def stop(self):
        if not self.stopped:
            self.stopped = True
            self.channel.close()
""",
    good="""
import threading

class Worker:
    def __init__(self):
        self.stopped = False
        self.lock = threading.Lock()

    def stop(self):
        with self.lock:
            if not self.stopped:
                self.stopped = True
                self.channel.close()
""",
    check=check,
)
