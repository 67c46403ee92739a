"""A queue without a bound: a producer that is faster than its consumer fills the memory."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.containers import DEQUE, QUEUE, kind_of
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module
from leaklab.code_audit.trimming import trims_itself


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield queues without a size, and deques that are filled and emptied without a maxlen."""
    for container in project.containers(module):
        if trims_itself(module, container):
            continue
        if container.kind == QUEUE or (
            container.kind == DEQUE and container.grows and container.shrinks
        ):
            yield module.candidate(
                RULE.id,
                RULE.title,
                f"{container.path} has no bound: it holds whatever comes in faster than it goes "
                "out",
                container.node,
                name=container.path,
                lines=tuple(change.node for change in container.grows),
                runs=tuple(change.node for change in container.grows) or (container.node,),
                watches=(module.watch(container.path),),
                resources=("heap_bytes",),
                holders=(container.path,),
                # A queue of one short connection holds little; one that is kept does not.
                if_kept=container.owner.name
                if container.owner and container.scope == "instance"
                else None,
            )
    for node in module.nodes(ast.Assign):
        function = module.function_of(node)
        local = all(isinstance(target, ast.Name) for target in node.targets)
        if function is not None and local and kind_of(module, node.value) == QUEUE:
            yield module.candidate(
                RULE.id,
                RULE.title,
                "a queue without a bound: it holds whatever comes in faster than it goes out",
                node,
                resources=("heap_bytes",),
            )


RULE = Rule(
    id="LL003",
    title="queue without a bound",
    why=(
        "Without maxsize (or maxlen) nothing slows the producer down: when the consumer falls "
        "behind or dies, everything it did not take stays."
    ),
    cases=(),
    bad="""
import queue

JOBS = queue.Queue()

def submit(job):
    JOBS.put(job)
""",
    good="""
import queue

JOBS = queue.Queue(maxsize=1000)

def submit(job):
    JOBS.put(job)
""",
    check=check,
)
