"""A container of a module or class that only ever grows."""

from __future__ import annotations

from collections.abc import Iterable

from leaklab.code_audit.containers import BOUNDED_TYPE, QUEUE
from leaklab.code_audit.growth import (
    growing_places,
    lasting_shrinks,
    nothing_shrinks,
    unbounded_growth,
)
from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.scopes import Module


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield module- and class-level containers that grow with the work and never shrink."""
    for container in project.containers(module):
        if container.scope == "instance" or container.kind in (BOUNDED_TYPE, QUEUE):
            continue
        growth = unbounded_growth(module, container)
        shrinks, uncalled = lasting_shrinks(module, container)
        if not growth or shrinks:
            continue
        where = growing_places(module, growth)
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{container.path} grows in {where} and {nothing_shrinks(uncalled)}",
            container.node,
            name=container.path,
            lines=tuple(change.node for change in growth),
            runs=tuple(change.node for change in growth),
            watches=(module.watch(container.path),),
            resources=("heap_bytes",),
            holders=(container.path,),
            if_uncalled=tuple(uncalled),
        )


RULE = Rule(
    id="LL001",
    title="module- or class-level container that only grows",
    why=(
        "What a module or class holds lives as long as the process. A container that gets an entry "
        "for each unit of work and never loses one is the commonest leak there is."
    ),
    cases=("unbounded-cache", "client-cache", "rate-limit-buckets", "idempotency-store"),
    bad="""
PAGES = {}

def page(number):
    if number not in PAGES:
        PAGES[number] = "x" * 1000
    return PAGES[number]
""",
    good="""
PAGES = {}

def page(number):
    if number not in PAGES:
        PAGES[number] = "x" * 1000
    while len(PAGES) > 100:
        PAGES.pop(next(iter(PAGES)))
    return PAGES[number]
""",
    check=check,
)
