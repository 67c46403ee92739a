"""The audit: candidates from source, joined with a run that exists or is made for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.arguments import check_list
from leaklab.code_audit.baseline import mark_known, read_baseline
from leaklab.code_audit.find import find
from leaklab.code_audit.kept import keep_audit
from leaklab.code_audit.model import Findings
from leaklab.code_audit.result import Audit
from leaklab.errors import LeaklabError, UsageError

if TYPE_CHECKING:
    from leaklab.results.run import Run

PathLike = str | os.PathLike[str]


def audit(
    path: PathLike | Sequence[PathLike],
    run: Run | PathLike | None = None,
    *,
    command: Sequence[str] | None = None,
    baseline: PathLike | None = None,
    **options: Any,
) -> Audit:
    """Find what may leak in the source below ``path`` and say what a run makes of it.

    Nothing of the source is imported. ``run`` is a run or its path; ``command`` records one, with
    the containers that the candidates name read at its marks (``options`` as of `ll.record`).
    Without either every candidate is "open". ``baseline`` is a file of known candidates.
    Raises UsageError for a path that does not exist, LeaklabError where none of the files can be
    read, and for a run of another program or an older source.

    >>> ll.audit("serve.py").table()
    """
    if run is not None and command is not None:
        raise UsageError("both a run and a command to record; give one of them")
    if command is not None:
        check_list("command", command)
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not paths:
        raise UsageError("nothing to audit; name a file or folder")
    findings = find(paths)
    _check_read(findings)
    if command is not None:
        run = record_watched(findings, command, **options)
    elif options:
        raise UsageError(f"only with a command to record: {sorted(options)[0]}")
    result = Audit(findings.candidates, findings.notes, findings.file_count, findings.line_count)
    if run is not None:
        result = joined(result, findings, run)
    if baseline is not None:
        known = read_baseline(Path(baseline))
        result = replace(result, candidates=mark_known(result.candidates, known), compared=True)
    return result


def _check_read(findings: Findings) -> None:
    """Raise LeaklabError where source was found and all of it was unreadable: it is not clean."""
    failed = [note for note in findings.notes if note.failed]
    if failed and not findings.file_count:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise LeaklabError(
            f"no file could be audited: {failed[0].file}: {failed[0].text}{more}; "
            "mend it or name others"
        )


def joined(result: Audit, findings: Findings, run: Run | PathLike) -> Audit:
    """The audit with the states that a run gives its candidates; kept beside a local run."""
    from leaklab.code_audit.join import join
    from leaklab.recordings import open as open_run

    opened = open_run(run) if isinstance(run, str | os.PathLike) else run
    candidates = join(findings.candidates, opened, findings.digests)
    result = replace(result, candidates=candidates, run=opened.path or opened.label)
    keep_audit(opened.path, result.to_json())
    return result


def record_watched(findings: Findings, command: Sequence[str], **options: Any) -> Run:
    """Record a command with everything read that the candidates name."""
    from leaklab.recordings import record

    containers = {
        f"{watch.gauge}\t{watch.file}\t{watch.path}"
        for candidate in findings.candidates
        for watch in candidate.watches
    }
    lines = {
        f"{Path(candidate.file).resolve()}:{line}"
        for candidate in findings.candidates
        if candidate.cell is None
        for line in candidate.run_lines
    }
    return record(
        list(command),
        watch_containers=tuple(sorted(containers)),
        watch_lines=tuple(sorted(lines)),
        **options,
    )
