"""A child process that nobody waits for."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module

STARTING = ("subprocess.Popen", "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell")
WAITING = frozenset({"wait", "communicate", "poll"})


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield processes started in a function that is not seen to wait for them."""
    for call, called in module.calls:
        function = module.function_of(call)
        if called not in STARTING or function is None or module.runs_once(function):
            continue
        above = module.parent(call)
        while isinstance(above, ast.Await):
            above = module.parent(above)
        if isinstance(above, (ast.withitem, ast.Return, ast.Yield)):
            continue
        if isinstance(above, ast.Attribute) and above.attr in WAITING:
            continue
        names: list[str] = []
        if isinstance(above, ast.Assign):
            names = [(module.spelled(each) or "").rpartition(".")[2] for each in above.targets]
        if any((name, method) in module.attribute_calls for name in names for method in WAITING):
            continue
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{called} in {module.qualname(function)}: nobody waits for the process, so it stays "
            "as a zombie with its pipes",
            call,
            runs=(call,),
            resources=("child_count", "fd_count"),
        )


RULE = Rule(
    id="LL013",
    title="process that nobody waits for",
    why=(
        "A child that has ended keeps its entry in the process table until it is waited for, and "
        "its pipes keep their descriptors."
    ),
    cases=(),
    bad="""
import subprocess

def convert(path):
    process = subprocess.Popen(["convert", path])
    return process.pid
""",
    good="""
import subprocess

def convert(path):
    process = subprocess.Popen(["convert", path])
    process.wait()
    return process.returncode
""",
    check=check,
)
