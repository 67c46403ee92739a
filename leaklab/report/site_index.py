"""The index of all cases: by mechanism and by document, searchable, with small curves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from leaklab.report.index_entry import IndexEntry
from leaklab.report.pages import markup, render, text_of, write_page

CASES_FOLDER = "cases"
_SPELLED = {"http": "HTTP", "ttl": "TTL", "json": "JSON"}
_CLAIM_ORDER = ("right", "incomplete", "wrong", "untestable")


def read_entries(out_dir: str | Path) -> list[IndexEntry]:
    """The entries that `render_case` left in ``out_dir/cases``, by id."""
    found = sorted((Path(out_dir) / CASES_FOLDER).glob("*.json"))
    return [IndexEntry(**json.loads(path.read_text(encoding="utf-8"))) for path in found]


def read_runs(out_dir: str | Path) -> list[dict[str, str]]:
    """What `render_run` left in ``out_dir`` for its index, the newest run of each name first."""
    found = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in Path(out_dir).glob("*.run.json")
        if path.with_name(path.name.removesuffix(".run.json")).exists()
    ]
    found.sort(key=lambda entry: str(entry["created"]), reverse=True)
    return sorted(found, key=lambda entry: str(entry["label"]))


class NotebookLink(NamedTuple):
    """A rendered notebook: its address relative to the index, and what its jobs found.

    trend: started and verdict of each job, the newest last.
    """

    title: str
    href: str
    trend: Sequence[Mapping[str, str]] = ()


def render_index(
    entries: Iterable[IndexEntry],
    out_dir: str | Path,
    notebooks: Sequence[NotebookLink] = (),
) -> Path:
    """Write ``out_dir/index.html`` over these entries and return its path.

    Pages of entries are looked for in ``out_dir/cases``; runs with a page in ``out_dir`` that
    links to the index are listed.
    """
    listed = sorted(entries, key=lambda entry: (entry.mechanism, entry.id))
    cards = [_card(entry) for entry in listed]
    mechanisms = {
        card["mechanism"]: [c for c in cards if c["mechanism"] == card["mechanism"]]
        for card in cards
    }
    html = render(
        "index.html.j2",
        "leaklab: leaks, reproduced and measured",
        totals=_totals(listed),
        mechanisms=[
            ({"id": name, "title": _mechanism_title(name)}, members)
            for name, members in mechanisms.items()
        ],
        documents=_documents(listed),
        runs=[run | {"words": " ".join(run.values()).lower()} for run in read_runs(out_dir)],
        notebooks=[link._asdict() for link in notebooks],
        index_css=markup(text_of("index.css")),
        script=markup(text_of("index.js")),
    )
    return write_page(Path(out_dir) / "index.html", html)


def _mechanism_title(name: str) -> str:
    words = [_SPELLED.get(word, word) for word in name.split("-")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _card(entry: IndexEntry) -> dict[str, Any]:
    words = [entry.id, entry.title, entry.mechanism, entry.missing, *entry.needs]
    words += [f"{v['name']} {v['verdict']} {v['rate']}" for v in entry.variants]
    words += [" ".join(claim.values()) for claim in entry.claims]
    return asdict(entry) | {
        "href": _href(entry),
        "curve": markup(entry.curve),
        "words": " ".join(words).lower(),
    }


def _documents(entries: Sequence[IndexEntry]) -> list[tuple[str, list[dict[str, Any]]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        for claim in entry.claims:
            words = f"{entry.id} {entry.title} {entry.mechanism} {' '.join(claim.values())}"
            rows.setdefault(claim["document"], []).append(
                claim | {"case": entry.title, "href": _href(entry), "words": words.lower()}
            )
    return [
        (name, sorted(found, key=lambda row: str(row["section"])))
        for name, found in sorted(rows.items())
    ]


def _href(entry: IndexEntry) -> str | None:
    return f"{CASES_FOLDER}/{entry.page}" if entry.page else None


def _totals(entries: Sequence[IndexEntry]) -> dict[str, Any]:
    claims = [claim for entry in entries for claim in entry.claims]
    verdicts = Counter(claim["verdict"] for claim in claims)
    return {
        "cases": len(entries),
        "documents": len({claim["document"] for claim in claims}),
        "claims": len(claims),
        "verdicts": [(name, verdicts[name]) for name in _CLAIM_ORDER if verdicts[name]],
        "recorded": sum(any(v["verdict"] for v in entry.variants) for entry in entries),
    }
