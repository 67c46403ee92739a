"""The ratchet: leaks that are known, each with a reason and a date, in ``leaks.toml``.

A known leak passes as long as it does not clearly outgrow what was accepted, an unknown one fails,
and one that is gone is told, so that the list shrinks.
"""

from __future__ import annotations

import datetime
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from leaklab.pytest_plugin.settings import COUNTED
from leaklab.whole_file import replace_whole

FILE_NAME = "leaks.toml"
FIELDS = ("fingerprint", "test", "what", "reason", "since")
MOST = "most_per_call"
# The same leak takes less than so many times the bytes with another version of Python or of what a
# test uses. What is counted does not differ.
MOST_TIMES_BYTES = 2

# Rows of `Grown` as JSON has them: what is not known is None.
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class KnownLeak:
    """One accepted leak: its fingerprint, the test that shows it, what it is, why, since when.

    most_per_call: what was accepted of each resource; one that is not named has no limit.
    """

    fingerprint: str
    test: str
    what: str
    reason: str
    since: str
    most_per_call: Mapping[str, float] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, float]:
        """Growth per call above which it is no longer this leak, by resource."""
        return {
            resource: rate if resource in COUNTED else MOST_TIMES_BYTES * rate
            for resource, rate in self.most_per_call.items()
        }

    def is_outgrown(self, grown: Rows) -> bool:
        """Return whether some growth is clearly above its limit."""
        limits = self.limits
        return any(_bound(row, "low") > limits.get(row["resource"], math.inf) for row in grown)


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

    def reason(self, fingerprint: str, grown: Rows = ()) -> str | None:
        """Return why a leak that grows so is accepted; None where it is not known."""
        entry = self.entries.get(fingerprint)
        if entry is None or entry.is_outgrown(grown):
            return self.accept
        return entry.reason

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
        """Return the entries for leaks that are not known yet, or not as large; writes nothing."""
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        new: dict[str, KnownLeak] = {}
        for found in outcomes:
            key = found.get("fingerprint")
            known = self.entries.get(key) if key else None
            if not key or (known is not None and not known.is_outgrown(found["grown"])):
                continue
            test = found["test"].partition("[")[0]
            what = ", ".join(row["resource"] for row in found["grown"])
            # Of a test with parameters the most of all.
            most = dict(new[key].most_per_call) if key in new else {}
            for row in found["grown"]:
                most[row["resource"]] = max(_bound(row, "high"), most.get(row["resource"], 0.0))
            new[key] = KnownLeak(key, test, what, self.accept or "", today, most)
        return list(new.values())

    def write(self, entries: Iterable[KnownLeak]) -> None:
        """Append entries to the file, if there are any; what stands in it stays as it is.

        Of two with one fingerprint the later holds.
        """
        entries = list(entries)
        if not entries:
            return
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        for entry in entries:
            # A JSON string is a basic string of TOML.
            lines = [f"{name} = {json.dumps(getattr(entry, name))}" for name in FIELDS]
            rates = entry.most_per_call.items()
            most = ", ".join(f"{name} = {rate:.4g}" for name, rate in rates)
            lines += [f"{MOST} = {{ {most} }}"] if most else []
            text += "\n".join(["[[leak]]", *lines, "", ""])
        replace_whole(self.path, text)  # half an entry would fail the next session


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
    unknown = sorted({*fields} - {*FIELDS, MOST})
    if unknown:
        allowed = ", ".join((*FIELDS, MOST))
        raise pytest.UsageError(f"{where}: unknown: {unknown[0]}; allowed: {allowed}")
    for name in ("fingerprint", "test", "reason", "since"):
        if not str(fields.get(name, "")).strip():
            raise pytest.UsageError(f"{where}: no {name}; every known leak has one")
    most = fields.get(MOST, {})
    if not isinstance(most, dict) or not all(_is_rate(rate) for rate in most.values()):
        raise pytest.UsageError(f"{where}: {MOST}: {most!r}; growth, as {{ heap_bytes = 3000 }}")
    return KnownLeak(**{name: str(fields.get(name, "")) for name in FIELDS}, most_per_call=most)


def _is_rate(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _bound(row: Mapping[str, Any], side: str) -> float:
    """One end of the interval of a growth; the growth itself where there is no interval."""
    bound = row[side]
    return float(bound if bound is not None and math.isfinite(bound) else row["rate"])
