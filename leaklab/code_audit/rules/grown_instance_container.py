"""A container of a long-lived object that only ever grows."""

from __future__ import annotations

import re
from collections.abc import Iterable

from leaklab.code_audit.containers import BOUNDED_TYPE, QUEUE, UNKNOWN, Container
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

# Objects and attributes named like this are kept by somebody, as a rule.
LASTING_CLASS = re.compile(
    r"(cache|store|registry|manager|monitor|service|pool|server|session|tracker|limiter|client|"
    r"handler|worker|scheduler|application|repository|middleware|broker|bus|hub)$",
    re.IGNORECASE,
)
LASTING_ATTRIBUTE = re.compile(
    r"(cache|memo|seen|history|histories|attempts|requests|metrics|counts?|times|buckets|sessions|"
    r"clients|connections|subscribers|listeners|callbacks|handlers|pending|tasks|results|events|log|"
    r"entries|items|data|store)s?$",
    re.IGNORECASE,
)


def check(module: Module, project: Project) -> Iterable[Candidate]:
    """Yield attributes of long-lived objects that grow with the work and never shrink."""
    for container in project.containers(module):
        if container.scope != "instance" or container.kind in (BOUNDED_TYPE, QUEUE):
            continue
        growth = unbounded_growth(module, container)
        if container.kind == UNKNOWN or container.handed_in:
            growth = [change for change in growth if change.how == "a new key"]
        shrinks, uncalled = lasting_shrinks(module, container)
        if not growth or shrinks:
            continue
        yield module.candidate(
            RULE.id,
            RULE.title,
            f"{container.path} grows in {growing_places(module, growth)} and "
            f"{nothing_shrinks(uncalled)}",
            container.node,
            name=container.path,
            lines=tuple(change.node for change in growth),
            runs=tuple(change.node for change in growth),
            watches=(module.watch(container.path),),
            resources=("heap_bytes",),
            holders=(f".{container.name}", container.path, *_names_of(module, container)),
            if_uncalled=tuple(uncalled),
            if_kept=None if is_named_lasting(container) else _class(container),
        )


def is_named_lasting(container: Container) -> bool:
    """Whether class and attribute are called as things are that somebody keeps."""
    named = LASTING_CLASS.search(_class(container))
    return bool(named and LASTING_ATTRIBUTE.search(container.name))


def _names_of(module: Module, container: Container) -> list[str]:
    """Names of the module under which the container is kept: its objects, or itself handed in."""
    assert container.owner is not None
    return [*module.instances_of(container.owner), *container.handed_in]


def _class(container: Container) -> str:
    return container.owner.name if container.owner is not None else ""


RULE = Rule(
    id="LL002",
    title="container of a long-lived object that only grows",
    why=(
        "An object that a module keeps, or that serves every request, keeps what its attributes "
        "hold. A counter per path or a list of response times grows with the traffic."
    ),
    cases=("monitoring-store", "login-attempts", "client-cache", "size-estimator"),
    bad="""
class Monitor:
    def __init__(self):
        self.response_times = []

    def record(self, seconds):
        self.response_times.append(seconds)

MONITOR = Monitor()
""",
    good="""
from collections import deque

class Monitor:
    def __init__(self):
        self.response_times = deque(maxlen=1000)

    def record(self, seconds):
        self.response_times.append(seconds)

MONITOR = Monitor()
""",
    check=check,
)
