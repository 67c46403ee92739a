"""The size of an object taken from the length of its text."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module

PRINTING = ("str", "repr", "json.dumps", "pickle.dumps", "pprint.pformat")


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield ``len(str(container))`` and its like on containers that outlive the call."""
    containers = project.containers(module)
    for call in module.nodes(ast.Call):
        if module.dotted(call.func) != "len" or len(call.args) != 1:
            continue
        inner = call.args[0]
        if not isinstance(inner, ast.Call) or module.dotted(inner.func) not in PRINTING:
            continue
        container = containers.find(inner.args[0], call) if inner.args else None
        if container is None:
            continue
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"the whole of {container.path} is turned into text to measure it: the copy is as "
            "large as the text, and its length is not the size",
            call,
            name=container.path,
            runs=(call,),
        )


RULE = Rule(
    id="LL016",
    title="size measured by printing",
    why=(
        "len(str(cache)) builds a text of everything in the cache at each look, a peak as high as "
        "the cache, and counts characters instead of bytes: too few for arrays, too many for emoji."
    ),
    cases=("size-estimator", "set-cost", "unbounded-cache"),
    bad="""
CACHE = {}

def store(key, value):
    CACHE[key] = value
    while len(str(CACHE)) > 50_000_000:
        CACHE.pop(next(iter(CACHE)))
""",
    good="""
CACHE = {}
SIZES = {}

def store(key, value):
    CACHE[key] = value
    SIZES[key] = len(value)
    while sum(SIZES.values()) > 50_000_000:
        oldest = next(iter(CACHE))
        CACHE.pop(oldest)
        SIZES.pop(oldest)
""",
    check=check,
)
