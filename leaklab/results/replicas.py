"""Replicas of a deployment on both sides of a comparison: each new version has pods of new names.

Their names say which deployment they are of (:mod:`leaklab.analysis.pods`), and nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from leaklab.analysis.pods import deployment_of
from leaklab.verdict.resources import BOUNDED, INCONCLUSIVE, LEAK, ResourceVerdict

MAIN = "main"
_ORDER = (BOUNDED, INCONCLUSIVE, LEAK)


@dataclass(frozen=True)
class Replicas:
    """A resource of one deployment in one run: the replica that is worst off, and all of them."""

    worst: ResourceVerdict
    all: tuple[ResourceVerdict, ...]


def replicas(
    before: Sequence[ResourceVerdict],
    after: Sequence[ResourceVerdict],
    only: tuple[str, str] = ("", ""),
) -> Iterator[tuple[Replicas, Replicas]]:
    """Yield the resources that deployments have in both runs, in pods of other names.

    Pods that both runs have are compared one by one. The worst replica stands for all: a leak is
    fixed where no replica has it any more. ``only``: the pod of each run that has a single one, and
    so calls it "main".
    """
    known = {(e.name, e.role) for e in before} & {(e.name, e.role) for e in after}
    old, new = (
        _by_deployment(side, known, pod) for side, pod in zip((before, after), only, strict=True)
    )
    yield from ((old[key], new[key]) for key in old if key in new)


def _by_deployment(
    entries: Sequence[ResourceVerdict], known: set[tuple[str, str]], only: str
) -> dict[tuple[str, str], Replicas]:
    found: dict[tuple[str, str], list[ResourceVerdict]] = {}
    for entry in entries:
        name = deployment_of(only if entry.role == MAIN else entry.role)
        if name and (entry.name, entry.role) not in known:
            found.setdefault((entry.name, name), []).append(entry)
    return {
        key: Replicas(replace(max(group, key=_badness), role=key[1]), tuple(group))
        for key, group in found.items()
    }


def _badness(entry: ResourceVerdict) -> tuple[int, float]:
    return _ORDER.index(entry.verdict), entry.rate if entry.rate == entry.rate else 0.0
