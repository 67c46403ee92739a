"""What a case's target.py is called with, as the case.toml beside it declares it."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaklab.catalogue.values import from_text, option


def case_arguments(target: str) -> argparse.Namespace:
    """Return the variant and the parameters that a target was called with; ends it where wrong.

    ``target`` is its ``__file__``. Every parameter is an option, its default the declared one.

    >>> case_arguments(__file__).variant
    """
    declared = case_table(Path(target).parent)
    parser = argparse.ArgumentParser(description=declared["title"])
    parser.add_argument("variant", choices=tuple(declared["variants"]))
    for name, one in declared.get("parameters", {}).items():
        parser.add_argument(
            option(name),
            type=_reader(one["type"]),
            default=one["default"],
            help=one["help"].replace("%", "%%"),
        )
    return parser.parse_args()


def is_free(name: str) -> bool:
    """Return whether a parameter may be called so: no option of every target has its name."""
    try:
        argparse.ArgumentParser().add_argument(option(name))
    except argparse.ArgumentError:
        return False
    return True


def case_table(folder: Path) -> dict[str, Any]:
    """Return what the case.toml in a folder says; some editors begin it with a byte order mark."""
    return tomllib.loads((folder / "case.toml").read_text(encoding="utf-8-sig"))


def _reader(kind: str) -> Callable[[str], object]:
    def read(text: str) -> object:
        return from_text(kind, text)

    read.__name__ = kind  # as a refusal calls it
    return read
