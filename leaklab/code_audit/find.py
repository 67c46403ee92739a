"""Find candidates in source: the own rules, and ruff's where it is installed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from leaklab.code_audit import excuses, ruff
from leaklab.code_audit.model import Candidate, Findings, Note
from leaklab.code_audit.project import Project
from leaklab.code_audit.rules import all_rules
from leaklab.code_audit.scopes import Module
from leaklab.code_audit.sources import Source, python_files, read_source

Paths = Sequence[str | os.PathLike[str]]


def find(paths: Paths, *, public: bool = True) -> Findings:
    """Audit the source below ``paths``; nothing of it is imported or run.

    ``public``: whether ruff's rules are asked too. Raises UsageError for a path that does not
    exist. Files that do not parse, generated ones and others left out are in the notes.
    """
    sources: list[Source] = []
    notes: list[Note] = []
    for path in python_files(paths):
        found = read_source(path)
        if isinstance(found, Note):
            notes.append(found)
        else:
            sources.append(found)
    own, modules = audit_sources(sources)
    theirs: Iterable[Candidate] = ()
    if public:
        theirs, more = ruff.candidates(modules)
        notes += more
    return Findings(
        candidates=tuple(in_order(without_doubles([*own, *theirs]))),
        notes=tuple(notes),
        file_count=len(sources),
        line_count=sum(source.text.count("\n") for source in sources),
        digests={
            source.file: hashlib.sha256(source.text.encode("utf-8", "replace")).hexdigest()
            for source in sources
        },
    )


def audit_sources(sources: Iterable[Source]) -> tuple[list[Candidate], list[Module]]:
    """Run the own rules over parsed files; returns the candidates and the modules."""
    project = Project(Module(source) for source in sources)
    rules = all_rules()
    found = []
    for module in project.modules:
        known = excuses.of_module(module)
        for rule in rules:
            found += [
                replace(candidate, excuse=excuses.find(known, candidate))
                for candidate in rule.check(module, project)
            ]
    return found, list(project.modules)


def without_doubles(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Of candidates of one rule about one thing, or of two rules at one place, the first."""
    seen: set[object] = set()
    kept = []
    for each in candidates:
        key = (each.rule, each.file, each.cell, each.name or each.line, each.line)
        if key not in seen:
            seen.add(key)
            kept.append(each)
    return kept


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """By file, line and rule."""
    key: Callable[[Candidate], tuple[str, int, int, str]] = lambda each: (  # noqa: E731
        each.file,
        each.cell or 0,
        each.line,
        each.rule,
    )
    return sorted(candidates, key=key)
