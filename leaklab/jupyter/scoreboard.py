"""The scoreboard as one reads it: every documented claim, filterable, with totals."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from leaklab.present.table import Table, names_html, text_html

if TYPE_CHECKING:
    import pandas as pd

MEASURED = ("before", "documented_fix", "better_fix", "control", "condition")
VERDICTS = ("right", "incomplete", "wrong", "untestable")
_COLOURS = {
    "right": "#009e73",
    "incomplete": "#a68a00",
    "wrong": "#d55e00",
    "untestable": "#767778",
}
_CELL = (
    "padding:.3em .7em .3em 0;vertical-align:top;text-align:left;border:0;"
    "white-space:normal;overflow-wrap:break-word;"
)
# Share of the width in per cent: reasons are the longest. Narrow screens scroll.
_COLUMNS = {
    "document": 11, "claim": 21, "the claim is": 12, "case": 10, "measured": 12, "audit": 10,
    "because": 24,
}  # fmt: skip
_TABLE = "table-layout:fixed;width:100%;min-width:60em;max-width:none;"
# Works in a notebook's output and in a page alike, without a script of its own.
_FILTER = (
    "const words=this.value.toLowerCase().split(/\\s+/);"
    "for(const row of this.closest('div').querySelectorAll('tbody tr'))"
    "row.hidden=!words.every(w=>row.textContent.toLowerCase().includes(w))"
)


class Scoreboard:
    """Claims (rows of :func:`leaklab.catalogue.scoreboard`) beside what was measured.

    `links` makes each case a link to its page in the report site.
    """

    def __init__(self, claims: pd.DataFrame, *, links: bool = False) -> None:
        self.claims = claims
        self.links = links

    def totals(self) -> Table:
        """How many claims of each document are right, incomplete, wrong or untestable."""
        claims = self.claims
        rows = []
        for document, found in [*claims.groupby("document"), ("all", claims)]:
            counts = found["verdict"].value_counts()
            system = "" if document == "all" else found["system"].iloc[0]
            rows.append(
                (document, system, *(counts.get(verdict, 0) for verdict in VERDICTS), len(found))
            )
        numbers = [*VERDICTS, "claims"]
        return Table(["document", "system", *numbers], rows, numbers=numbers)

    def __str__(self) -> str:
        return str(Table(list(_COLUMNS), [self._texts(row) for row in self._rows()]))

    def html(self) -> str:
        """The table with a field that filters its rows."""
        head = "".join(
            f'<th style="{_CELL}width:{share}%">{name}</th>' for name, share in _COLUMNS.items()
        )
        body = "".join(self._html_row(row) for row in self._rows())
        return (
            "<div><label>Filter: <input type='search' placeholder='wrong 003, cache, httpx …' "
            f'size="30" aria-label="filter the claims" oninput="{escape(_FILTER)}"></label>'
            f'<table style="{_TABLE}">'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": self.html()}

    def _rows(self) -> list[dict[str, Any]]:
        rows = self.claims.to_dict("records")
        return [{str(key): value for key, value in row.items()} for row in rows]

    def _texts(self, row: dict[str, Any]) -> tuple[str, ...]:
        place = f"{row['document']}, {row['section']}"
        raised = row.get("audit")
        audit = raised if isinstance(raised, str) else "no code"
        return place, row["claim"], row["verdict"], row["case"], measured(row), audit, row["why"]

    def _html_row(self, row: dict[str, Any]) -> str:
        place, claim, verdict, case, figures, audit, why = self._texts(row)
        place, claim, why, figures = *map(text_html, (place, claim, why)), names_html(figures)
        if self.links:
            case = f'<a href="../cases/{case}.html">{case}</a>'
        colour = _COLOURS.get(row["verdict"], "inherit")
        verdict = f'<b style="color:{colour}">{verdict}</b>'
        cells = (place, claim, verdict, case, figures, text_html(audit), why)
        return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


def scoreboard(*, document: str = "", store: str | None = None, links: bool = False) -> Scoreboard:
    """Return every claim of the documents (or of one) beside the newest runs of its case.

    `links`: cases become links to their pages, as they stand in the report site.

    >>> ll.scoreboard(document="001")
    """
    from leaklab.catalogue.scoreboard import scoreboard as claims_table

    claims = claims_table(store)
    return Scoreboard(claims[claims["document"] == document] if document else claims, links=links)


def measured(row: dict[str, Any]) -> str:
    """The measured verdicts of a claim's case, by role: "before leak, better fix bounded"."""
    found = [
        f"{role.replace('_', ' ')}: {row[role]}"
        for role in MEASURED
        if isinstance(row.get(role), str)
    ]
    if not found:
        return "not recorded" if row["runnable"] else "cannot be run"
    note = "" if row["as_expected"] in (True, None) else "; not as the case expects"
    return "; ".join(found) + note
