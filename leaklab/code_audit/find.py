"""Find candidates in source: the own rules, and ruff's where it is installed."""

from __future__ import annotations

import ast
import contextlib
import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from leaklab.code_audit import excuses, ruff
from leaklab.code_audit.model import Candidate, Findings, Note
from leaklab.code_audit.project import Project
from leaklab.code_audit.rule import Rule
from leaklab.code_audit.rules import all_rules
from leaklab.code_audit.scopes import Module
from leaklab.code_audit.sources import Source, python_files, read_source

Paths = Sequence[str | os.PathLike[str]]


def find(paths: Paths, *, public: bool = True) -> Findings:
    """Audit the source below ``paths``; nothing of it is imported or run.

    ``public``: whether ruff's rules are asked too. Raises UsageError for a path that does not
    exist. Files that do not parse, generated ones and others left out are in the notes.
    """
    files = list(python_files(paths))
    rows, notes = ruff.findings(files) if public else ({}, [])
    project, rules = Project(), all_rules()
    candidates: list[Candidate] = []
    digests: dict[str, str] = {}
    line_count = 0
    with _collector_at_rest():
        for path in files:
            source = read_source(path)
            if isinstance(source, Note):
                notes.append(source)
                continue
            candidates += audit_module(Module(source), project, rules, rows.get(source.path, ()))
            digests[source.file] = source.digest
            line_count += source.text.count("\n")
    return Findings(
        candidates=tuple(in_order(without_doubles(filter(project.is_candidate, candidates)))),
        notes=tuple(notes),
        file_count=len(digests),
        line_count=line_count,
        digests=digests,
    )


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Syntax trees are many objects and no cycles: looking through them takes most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def audit_module(
    module: Module, project: Project, rules: Iterable[Rule], rows: Iterable[ruff.Row] = ()
) -> list[Candidate]:
    """The candidates of one module: by the own rules, and what ruff says of it."""
    project.enter(module)
    found = [candidate for rule in rules for candidate in rule.check(module, project)]
    found += ruff.candidates(module, rows)
    if not found:
        return []
    known = excuses.of_module(module)
    return [replace(each, excuse=excuses.find(known, each)) for each in found]


def audit_text(text: str, file: str = "module.py") -> list[Candidate]:
    """The candidates of one text by the own rules, as if it were a whole code base."""
    source = Source(file, file, text, ast.parse(text), "")
    project = Project()
    found = audit_module(Module(source), project, all_rules())
    return in_order(without_doubles(filter(project.is_candidate, found)))


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
