"""An audit as one object: its candidates with their states, as text, table, JSON and SARIF."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from leaklab.code_audit.model import BOUNDED, CONFIRMED, OPEN, REFUTED, STATES, Candidate, Note
from leaklab.code_audit.rules import all_rules
from leaklab.code_audit.sarif import sarif
from leaklab.present.table import Table
from leaklab.present.terminal import safe

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
AUDIT_MIME = "application/vnd.leaklab.audit+json"


@dataclass(frozen=True)
class Audit:
    """What an audit found. Renders itself in a notebook and as text.

    candidates: in order of file and line. run: the run they were joined with, None without one.
    notes: files left out and tools missing. file_count, line_count: what was read. compared:
    whether a baseline says which candidates are known.
    """

    candidates: tuple[Candidate, ...]
    notes: tuple[Note, ...] = ()
    file_count: int = 0
    line_count: int = 0
    run: str | None = None
    compared: bool = False

    def counts(self) -> dict[str, int]:
        """How many candidates are in each state, in the order of concern."""
        found = Counter(each.state for each in self.candidates)
        return {state: found[state] for state in STATES if found[state]}

    def confirmed(self) -> tuple[Candidate, ...]:
        """The confirmed candidates that the baseline does not have."""
        return tuple(
            each for each in self.candidates if each.state == CONFIRMED and not each.in_baseline
        )

    def new(self) -> tuple[Candidate, ...]:
        """The candidates that the baseline does not have and nothing clears.

        A run clears them, or a comment that says why, as long as no run confirms the leak.
        """
        return tuple(
            each
            for each in self.candidates
            if not each.in_baseline
            and each.state not in (BOUNDED, REFUTED)
            and (each.state == CONFIRMED or not each.excuse)
        )

    def table(self) -> pd.DataFrame:
        """Return one row per candidate.

        Columns: state, rule, title, file, cell, line, name, function, message, evidence, excuse,
        in_baseline, fingerprint.
        """
        import pandas as pd

        names = (
            "state", "rule", "title", "file", "cell", "line", "name", "function", "message",
            "evidence", "excuse", "in_baseline", "fingerprint",
        )  # fmt: skip
        rows = [each.to_json() for each in self.candidates]
        return pd.DataFrame([{name: row[name] for name in names} for row in rows], columns=names)

    def to_json(self) -> dict[str, Any]:
        """Return what ``leaklab audit --json`` prints."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run": self.run,
            "file_count": self.file_count,
            "line_count": self.line_count,
            "counts": self.counts(),
            "candidates": [each.to_json() for each in self.candidates],
            "notes": [{"file": note.file, "text": note.text} for note in self.notes],
        }

    def to_sarif(self) -> dict[str, Any]:
        """Return the audit as a SARIF 2.1.0 log."""
        return sarif(self.candidates, all_rules())

    def summary(self) -> str:
        """One line: how many candidates in which state, of how much source."""
        size = f"{_counted(self.file_count, 'file')}, {_counted(self.line_count, 'line')}"
        if not self.candidates:
            return f"no candidates in {size}"
        states = ", ".join(
            _counted(count, "candidate") if state == OPEN else f"{count} {state}"
            for state, count in self.counts().items()
        )
        how = "" if self.run else "; a run says which of them matter: leaklab audit PATH -- COMMAND"
        known = sum(each.in_baseline for each in self.candidates)
        fresh = f" ({known} known, {len(self.candidates) - known} new)" if self.compared else ""
        return f"{states}{fresh} in {size}{how}"

    def _rows(self) -> Table:
        order = {state: number for number, state in enumerate(STATES)}
        ranked = sorted(self.candidates, key=lambda each: order[each.state])
        joined = self.run is not None
        columns = ["rule", "where", "what", *(["state", "evidence"] if joined else [])]
        columns += ["baseline"] if self.compared else []
        rows = []
        for each in ranked:
            row = [each.rule, safe(each.place), safe(each.message)]
            row += [each.state, safe(each.evidence)] if joined else []
            row += ["known" if each.in_baseline else "new"] if self.compared else []
            rows.append(row)
        return Table(columns, rows)

    def __str__(self) -> str:
        parts = [str(self._rows())] if self.candidates else []
        parts += [self.summary()]
        parts += [
            safe(f"note: {n.file}: {n.text}" if n.file else f"note: {n.text}") for n in self.notes
        ]
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        table = self._rows()._repr_mimebundle_().get("text/html", "") if self.candidates else ""
        notes = "".join(
            f"<p>{escape(f'{note.file}: {note.text}' if note.file else note.text)}</p>"
            for note in self.notes
        )
        return f"{table}<p>{escape(self.summary())}</p>{notes}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {
            "text/plain": str(self),
            "text/html": self._repr_html_(),
            AUDIT_MIME: self.to_json(),
        }


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
