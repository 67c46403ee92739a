"""A Celery shutdown hook that runs in the parent, which has nothing to close."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module
from leaklab.code_audit.things import CLOSING

PARENT_SIGNALS = ("celery.signals.worker_shutdown", "celery.signals.worker_shutting_down")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield receivers of ``worker_shutdown`` that close something."""
    for node in module.nodes(ast.Attribute):
        if node.attr != "connect" or module.dotted(node.value) not in PARENT_SIGNALS:
            continue
        above = module.parent(node)
        receivers: list[ast.AST] = []
        if isinstance(above, ast.Call) and above.args and isinstance(above.args[0], ast.Name):
            receivers = list(module.functions.get(above.args[0].id, ()))
        elif isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef)):
            receivers = [above]
        elif isinstance(above, ast.Call):
            decorated = module.parent(above)
            if isinstance(decorated, (ast.FunctionDef, ast.AsyncFunctionDef)):
                receivers = [decorated]
        for receiver in receivers:
            closes = any(
                isinstance(below, ast.Attribute) and below.attr in CLOSING
                for below in ast.walk(receiver)
            )
            if closes:
                yield module.candidate(
                    RULE.id,
                    RULE.title,
                    f"{getattr(receiver, 'name', 'the hook')} runs in the worker's parent under "
                    "prefork, where no task ran: worker_process_shutdown runs in the children",
                    node,
                    lines=(receiver,),
                    runs=(receiver,),
                )


RULE = Rule(
    id="LL018",
    title="shutdown hook in the wrong process",
    why=(
        "Under Celery's prefork pool tasks run in children. worker_shutdown is sent in the parent; "
        "what the children opened is not there to be closed."
    ),
    cases=("celery-engine-hooks",),
    bad="""
from celery.signals import worker_shutdown

engine = None

@worker_shutdown.connect
def cleanup(**_):
    if engine is not None:
        engine.dispose()
""",
    good="""
from celery.signals import worker_process_shutdown

engine = None

@worker_process_shutdown.connect
def cleanup(**_):
    if engine is not None:
        engine.dispose()
""",
    check=check,
)
