"""What a case's target.py is called with, as the case.toml beside it declares it."""

from __future__ import annotations

import argparse
import builtins
import tomllib
from pathlib import Path


def case_arguments(target: str) -> argparse.Namespace:
    """Return the variant and the parameters that a target was called with; ends it where wrong.

    ``target`` is its ``__file__``. Every parameter is an option, its default the declared one.

    >>> case_arguments(__file__).variant
    """
    declared = tomllib.loads(Path(target).with_name("case.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description=declared["title"])
    parser.add_argument("variant", choices=tuple(declared["variants"]))
    for name, one in declared["parameters"].items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=getattr(builtins, one["type"]),
            default=one["default"],
            help=one["help"],
        )
    return parser.parse_args()
