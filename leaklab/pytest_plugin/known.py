"""The ratchet: leaks that are known, each with a reason and a date, in ``leaks.toml``.

A known leak passes, an unknown one fails, and one that is gone is told, so that the list shrinks.
"""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FILE_NAME = "leaks.toml"
FIELDS = ("fingerprint", "test", "what", "reason", "since")


@dataclass(frozen=True)
class KnownLeak:
    """One accepted leak: its fingerprint, the test that shows it, what it is, why, since when."""

    fingerprint: str
    test: str
    what: str
    reason: str
    since: str


class KnownLeaks:
    """The known leaks of a suite, and with ``accept`` the reason to add unknown ones."""

    def __init__(self, path: Path, accept: str | None = None) -> None:
        if accept is not None and not accept.strip():
            raise pytest.UsageError(
                f"leaklab: --leaks-accept: {accept!r}; the reason, such as 'until 2.0 is out'"
            )
        self.path = path
        self.accept = accept
        self.entries = {entry.fingerprint: entry for entry in read(path)}

    def reason(self, fingerprint: str) -> str | None:
        """Return why this leak is accepted; None where it is not known."""
        entry = self.entries.get(fingerprint)
        return entry.reason if entry is not None else self.accept

    def vanished(self, outcomes: Iterable[Mapping[str, Any]]) -> list[KnownLeak]:
        """Return the known leaks whose tests were judged and are without them."""
        by_test: dict[str, set[str | None]] = {}
        for found in outcomes:
            seen = by_test.setdefault(found["test"].partition("[")[0], set())
            seen.add(found.get("fingerprint"))
            if found["verdict"] == "inconclusive":
                seen.update(self.entries)  # not known to be gone
        return [
            entry
            for entry in self.entries.values()
            if entry.test in by_test and entry.fingerprint not in by_test[entry.test]
        ]

    def added(self, outcomes: Iterable[Mapping[str, Any]]) -> list[KnownLeak]:
        """Return the entries for leaks that are not known yet, without writing them."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        new = {
            found["fingerprint"]: KnownLeak(
                found["fingerprint"],
                found["test"].partition("[")[0],
                ", ".join(entry["resource"] for entry in found["grown"]),
                self.accept or "",
                today,
            )
            for found in outcomes
            if found.get("fingerprint") and found["fingerprint"] not in self.entries
        }
        return list(new.values())

    def write(self, entries: Iterable[KnownLeak]) -> None:
        """Append entries to the file, if there are any; what stands in it stays as it is."""
        entries = list(entries)
        if not entries:
            return
        with self.path.open("a", encoding="utf-8") as file:
            for entry in entries:
                # A JSON string is a basic string of TOML.
                lines = [f"{name} = {json.dumps(getattr(entry, name))}" for name in FIELDS]
                file.write("\n".join(["[[leak]]", *lines, "", ""]))


def read(path: Path) -> list[KnownLeak]:
    """Return the entries of a file, none where there is no file; pytest.UsageError naming a fault.

    Every entry has a fingerprint, a test, a reason and a date.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as problem:
        raise pytest.UsageError(f"leaklab: {path}: cannot be read: {problem}") from None
    return [_entry(path, number, fields) for number, fields in enumerate(table.get("leak", []), 1)]


def _entry(path: Path, number: int, fields: Mapping[str, Any]) -> KnownLeak:
    where = f"leaklab: {path}: leak {number}"
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        raise pytest.UsageError(f"{where}: unknown: {unknown[0]}; allowed: {', '.join(FIELDS)}")
    for name in ("fingerprint", "test", "reason", "since"):
        if not str(fields.get(name, "")).strip():
            raise pytest.UsageError(f"{where}: no {name}; every known leak has one")
    return KnownLeak(**{name: str(fields.get(name, "")) for name in FIELDS})
