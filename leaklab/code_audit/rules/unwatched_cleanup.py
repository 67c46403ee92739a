"""A background task that one error ends for good, unseen."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.containers import SHRINKING
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.rules.endless_worker import TASKS, THREADS, _workers
from leaklab.code_audit.scopes import Function, Module


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield endless cleaning loops of tasks and threads without a try in the loop."""
    watched = any(method == "add_done_callback" for _, method in module.attribute_calls)
    for call, called in module.calls:
        is_thread = called in THREADS
        if not is_thread and (called or "").rpartition(".")[2] not in TASKS:
            continue
        if watched and not is_thread:
            continue
        for worker in _workers(module, call, is_thread):
            loop = _unguarded(module, worker)
            if loop is None:
                continue
            path = _cleaned(module, project, loop)
            if path is None:
                continue
            yield module.candidate(
                RULE.id,
                RULE.title,
                f"one error ends {module.qualname(worker)} for good and nobody is told: {path} is "
                "not cleaned from then on",
                loop,
                name=path,
                lines=(call,),
                runs=(loop,),
                watches=(module.watch(path),),
                resources=("heap_bytes",),
                holders=(path,),
            )


def _unguarded(module: Module, worker: Function) -> ast.While | None:
    for loop in ast.walk(worker):
        if isinstance(loop, ast.While) and not any(
            isinstance(below, ast.Try) for below in ast.walk(loop)
        ):
            return loop
    return None


def _cleaned(module: Module, project: Project, loop: ast.While) -> str | None:
    """The container that the loop, or a function it calls, takes entries out of."""
    containers = project.containers(module)
    roots: list[ast.AST] = [loop]
    for below in ast.walk(loop):
        if isinstance(below, ast.Call):
            name = (module.dotted(below.func) or "").rpartition(".")[2]
            roots.extend(module.functions.get(name, ()))
    inside = {each for root in roots for each in ast.walk(root)}
    for container in containers:
        if any(
            change.node in inside and (change.how in SHRINKING or change.how == "del")
            for change in container.shrinks
        ):
            return container.path
    return None


RULE = Rule(
    id="LL015",
    title="cleanup task that nobody watches",
    why=(
        "A task or thread ends with its first uncaught error. What it cleaned grows from that "
        "moment, and its error is told to nobody until the task is collected."
    ),
    cases=("cleanup-task-dies",),
    bad="""
import asyncio

STORE = {}

async def clean():
    while True:
        await asyncio.sleep(60)
        for key in [key for key, entry in STORE.items() if entry["over"]]:
            del STORE[key]

async def serve():
    task = asyncio.create_task(clean())
    await task
""",
    good="""
import asyncio
import logging

STORE = {}

async def clean():
    while True:
        await asyncio.sleep(60)
        try:
            for key in [key for key, entry in STORE.items() if entry["over"]]:
                del STORE[key]
        except Exception:
            logging.exception("cleanup failed")

async def serve():
    task = asyncio.create_task(clean())
    await task
""",
    check=check,
)
