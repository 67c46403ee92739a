"""A file of known candidates: what stands in it is not new."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from leaklab.code_audit.model import Candidate
from leaklab.errors import LeaklabError
from leaklab.whole_file import write_named

SCHEMA_VERSION = 1


def read_baseline(path: Path) -> frozenset[str]:
    """The fingerprints of a baseline; raises LeaklabError for a file that is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = document["candidates"]
        return frozenset(str(row["fingerprint"]) for row in rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LeaklabError(
            f"not a baseline of leaklab audit: {path}; {error or type(error).__name__}"
        ) from None


def write_baseline(path: Path, candidates: Iterable[Candidate]) -> None:
    """Write the candidates as known; in order, so that a later difference is readable."""
    rows = [
        {
            "fingerprint": each.fingerprint,
            "rule": each.rule,
            "file": each.file,
            "name": each.name,
            "state": each.state,
        }
        for each in candidates
    ]
    text = json.dumps({"schema_version": SCHEMA_VERSION, "candidates": rows}, indent=1)
    write_named(path, text + "\n", "the baseline", "name another file")


def mark_known(candidates: Iterable[Candidate], known: frozenset[str]) -> tuple[Candidate, ...]:
    """Say of each candidate whether the baseline has it."""
    return tuple(replace(each, in_baseline=each.fingerprint in known) for each in candidates)
