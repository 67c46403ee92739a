"""What a caller hands over in Python, looked at where it enters: a wrong kind is one line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from numbers import Real
from typing import Any, TypeGuard

from leaklab.errors import UsageError
from leaklab.quantities import duration_seconds, size_bytes

_SHOWN_LENGTH = 60


def as_run(given: Any) -> Any:
    """Return a run as it is; UsageError for a name, several runs and what else is none."""
    if hasattr(given, "data") and hasattr(given, "verdict"):
        return given
    if _is_text(given):
        text = os.fspath(given)
        raise UsageError(f"a name, no run: {text}; open it first: ll.open({text!r})")
    if isinstance(given, list | tuple | Mapping):
        raise UsageError(f"several runs where one is meant: {_shown(given)}; give one of them")
    raise UsageError(f"no run: {_shown(given)}; ll.open and ll.record return one")


def as_path(given: Any, what: str) -> str:
    """Return the text of a name or path; UsageError for anything else."""
    if _is_text(given):
        return os.fspath(given)
    raise UsageError(f"no name or path of {what}: {_shown(given)}; give it as a text")


def check_list(name: str, given: Any) -> None:
    """Raise UsageError unless ``given`` is a list of texts; a text alone would be its letters."""
    if _is_text(given):
        text = os.fspath(given)
        raise UsageError(f"{name} is a text: {text!r}; give a list: {name}=[{text!r}]")
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise UsageError(f"{name} is no list: {_shown(given)}; give a list of texts")


def check_number(name: str, given: Any, unit: str = "") -> None:
    """Raise UsageError unless ``given`` is a number; a size or duration is told as one.

    ``unit``: "bytes" or "second", where the name does not end in it.
    """
    if isinstance(given, Real):
        return
    meant = ""
    for its_unit, read in (("bytes", size_bytes), ("second", duration_seconds)):
        if isinstance(given, str) and its_unit in f"{name} {unit}":
            with contextlib.suppress(UsageError):
                meant = f": {name}={read(given):.15g}"
    raise UsageError(f"{name} is no number: {_shown(given)}; give a number{meant}")


def check_limit(name: str, given: Any, unit: str = "") -> None:
    """Raise UsageError unless ``given`` is None or a number above 0."""
    if given is None:
        return
    check_number(name, given, unit)
    if not given > 0:
        raise UsageError(f"{name} out of range: {given}; allowed: above 0")


def check_fields(options: Any) -> None:
    """Raise UsageError for a field of a dataclass that is not what its annotation says."""
    for field in fields(options):
        value, kind = getattr(options, field.name), str(field.type)
        if value is None and kind.endswith("None"):
            continue
        kind = kind.removesuffix(" | None")
        if kind in ("int", "float"):
            check_number(field.name, value)
        elif kind.startswith("Sequence"):
            check_list(field.name, value)
            if (odd := next((one for one in value if not _is_text(one)), None)) is not None:
                raise UsageError(f"{field.name} holds no text: {_shown(odd)}; give {str(odd)!r}")
        elif kind.startswith("Mapping"):
            if not isinstance(value, Mapping):
                raise UsageError(f"{field.name} is no dict: {_shown(value)}; give values by name")
            for name, one in value.items() if kind == "Mapping[str, str]" else ():
                if not _is_text(one):
                    raise UsageError(
                        f"{field.name} holds no text: {name} = {_shown(one)}; "
                        f"give {field.name}={{{name!r}: {str(one)!r}}}"
                    )
        elif kind == "str" and not _is_text(value):
            raise UsageError(f"{field.name} is no text: {_shown(value)}; give a text")
        elif kind == "bool" and isinstance(value, str):
            raise UsageError(f"{field.name} is a text: {value!r}; give True or False")


def _is_text(given: Any) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(given, str | os.PathLike)


def _shown(given: Any) -> str:
    """What was given, in so many letters as fit a line; large things by their type alone."""
    if given is None or isinstance(given, str | bytes | Real):
        text = repr(given)
        return text if len(text) <= _SHOWN_LENGTH else f"{text[: _SHOWN_LENGTH - 1]}…"
    return f"a {type(given).__name__}"
