"""What a rule is: data, and a check of one module."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from leaklab.code_audit.model import Candidate
from leaklab.code_audit.project import Project
from leaklab.code_audit.scopes import Module


@dataclass(frozen=True)
class Rule:
    """One rule: what it looks for, why that matters, and examples that are its tests.

    ``cases`` are the items of the catalogue that show it; ``bad`` is source that must raise it,
    ``good`` source that must not. ``check`` yields candidates for one module.
    """

    id: str
    title: str
    why: str
    cases: tuple[str, ...]
    bad: str
    good: str
    check: Callable[[Module, Project], Iterable[Candidate]]
