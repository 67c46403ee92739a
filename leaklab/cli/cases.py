"""``leaklab cases``."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.cli import recording

if TYPE_CHECKING:
    from leaklab.catalogue.model import Case
    from leaklab.catalogue.parameters import Parameter

# A column of fewer characters says nothing; between two there are so many.
_NARROWEST, _BETWEEN = 12, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    guide = Path(__file__).parent.parent / "cases" / "README.md"
    parser.description = f"{parser.description} How to write one of your own: {guide}."
    parser.add_argument("case", nargs="?", metavar="CASE", help="one case, in full")
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """List the catalogue, or tell all about one case."""
    from leaklab.catalogue.model import case, catalogue

    chosen = [case(arguments.case)] if arguments.case else list(catalogue().values())
    latest, errors = _last_verdicts(arguments.store)
    if arguments.json:
        print(json.dumps([_document(one, latest) for one in chosen], indent=1))
    elif arguments.case:
        print(_in_full(chosen[0], latest))
    else:
        print(_listing(chosen, latest))
    for error in errors:
        recording.note(error)
    return 1 if errors else 0


def _last_verdicts(store: str | None) -> tuple[dict[tuple[str, str], str], list[str]]:
    """The newest run's verdict by case and variant, and why others have none.

    Both are empty where nothing was recorded yet.
    """
    from leaklab.store import default_store
    from leaklab.store.location import is_local

    where = store or default_store()
    if is_local(where) and not Path(where).is_dir():
        return {}, []
    from leaklab.results.overview import last_verdicts

    return last_verdicts(where)


def _listing(cases: list[Case], latest: dict[tuple[str, str], str]) -> str:
    from leaklab.present.resource_text import table
    from leaklab.present.terminal import safe

    rows = [("case", "title", "claim", "variants and their last verdict", "document")]
    for one in cases:
        documents = ", ".join(
            dict.fromkeys(f"{claim.document} {claim.section}" for claim in one.claims)
        )
        shown = ", ".join(
            f"{name}: {latest[one.id, name]}" if (one.id, name) in latest else name
            for name in one.variants
        )
        verdicts = ", ".join(dict.fromkeys(claim.verdict for claim in one.claims))
        documents = _cut(documents, 40)
        rows.append((one.id, safe(one.title), verdicts, shown or "claims only", documents))
    # Without a terminal there is no width to keep to: whoever reads a pipe wants all of it.
    return "\n".join(table(_fitted(rows, shutil.get_terminal_size((0, 0)).columns), indent=""))


def _fitted(rows: Sequence[tuple[str, ...]], room: int) -> Sequence[tuple[str, ...]]:
    """The first column and what else there is room for, cut; all of it where room is 0."""
    if not room:
        return rows
    first, *others = zip(*rows, strict=True)
    columns = [first]
    room -= max(map(len, first)) + _BETWEEN
    for column in others:
        if room < _NARROWEST:
            break
        columns.append(tuple(_cut(text, room) for text in column))
        room -= max(map(len, columns[-1])) + _BETWEEN
    return list(zip(*columns, strict=True))


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _in_full(one: Case, latest: dict[tuple[str, str], str]) -> str:
    lines = [f"{one.id}: {one.title}", f"  mechanism: {one.mechanism}"]
    missing = one.missing()
    if missing:
        lines.append(f"  cannot run here: {missing}")
    for claim in one.claims:
        lines += [
            "",
            f"  {claim.document} {claim.section}: {claim.text}",
            f"    measured: {claim.verdict}. {claim.why}",
        ]
    if one.variants:
        lines += ["", "  variants"]
        lines += [
            f"    {name} ({variant.role}): {variant.summary}  "
            f"[last verdict: {latest.get((one.id, name), 'not recorded')}]"
            for name, variant in one.variants.items()
        ]
    if one.parameters:
        lines += ["", "  parameters (-p NAME VALUE)"]
        lines += [f"    {name} = {_size(p)}: {p.help}" for name, p in one.parameters.items()]
    return "\n".join(lines)


def _size(parameter: Parameter) -> str:
    """The default as it may be given, and the value at quick sizes where it is another."""
    from leaklab.catalogue.values import as_text

    default, quick = (as_text(parameter.at_size(quick=quick)) for quick in (False, True))
    return default if quick == default else f"{default} ({quick} with --quick)"


def _document(one: Case, latest: dict[tuple[str, str], str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "mechanism": one.mechanism,
        "missing": one.missing(),
        "claims": [
            {
                "document": claim.document,
                "section": claim.section,
                "text": claim.text,
                "verdict": claim.verdict,
                "why": claim.why,
            }
            for claim in one.claims
        ],
        "parameters": {
            name: {"default": p.default, "quick": p.at_size(quick=True), "help": p.help}
            for name, p in one.parameters.items()
        },
        "variants": {
            name: {
                "role": variant.role,
                "summary": variant.summary,
                "last_verdict": latest.get((one.id, name)),
            }
            for name, variant in one.variants.items()
        },
    }
