"""Strict reading of TOML tables: every key is taken by name and type; what is left over is refused.

A case is data that others write by hand, so a misspelt key must be an error, never a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from leaklab.errors import LeaklabError

T = TypeVar("T")

KIND_NAMES = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list of strings",
    dict: "a table",
}


class Table:
    """One TOML table of one file, read key by key.

    ``where`` is the dotted name of the table in the file ("" for the file itself); errors are
    `LeaklabError` of one line that name the file and the key.
    """

    def __init__(self, values: Mapping[str, Any], file: str, where: str = "") -> None:
        self.values = dict(values)
        self.file = file
        self.where = where
        self.allowed: list[str] = []

    def name_of(self, key: str) -> str:
        """The dotted name of a key, as error messages give it."""
        return f"{self.where}.{key}" if self.where else key

    def error(self, key: str, problem: str, allowed: str) -> LeaklabError:
        """The one-line error for a key of this table."""
        return LeaklabError(f"{self.file}: {self.name_of(key)}: {problem}; {allowed}")

    def required(self, key: str, kind: type[T]) -> T:
        """The value of a key that must be there and of that type."""
        if key not in self.values:
            raise self.error(key, "is missing", f"it must be {KIND_NAMES[kind]}")
        value = self.optional(key, kind)
        assert value is not None
        return value

    def optional(self, key: str, kind: type[T]) -> T | None:
        """The value of a key of that type; None if it is not there."""
        self.allowed.append(key)
        if key not in self.values:
            return None
        value = self.values.pop(key)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.error(key, f"ill-typed value {value!r}", f"it must be {KIND_NAMES[kind]}")
        return value

    def strings(self, key: str) -> tuple[str, ...]:
        """An optional list of strings."""
        values = self.optional(key, list) or []
        for value in values:
            if not isinstance(value, str):
                raise self.error(key, f"ill-typed value {value!r}", "it must be a list of strings")
        return tuple(values)

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """A string out of ``allowed``; required unless there is a default."""
        value = self.required(key, str) if default is None else self.optional(key, str)
        if value is None:
            assert default is not None
            return default
        if value not in allowed:
            raise self.error(key, f"unknown value {value!r}", f"allowed: {', '.join(allowed)}")
        return value

    def raw(self, key: str) -> Any:
        """An optional value whose type the caller checks."""
        self.allowed.append(key)
        return self.values.pop(key, None)

    def table(self, key: str) -> Table:
        """A table below this one; empty if it is not there."""
        return Table(self.optional(key, dict) or {}, self.file, self.name_of(key))

    def tables(self) -> dict[str, Table]:
        """All values of this table, each of which must itself be a table."""
        names = list(self.values)
        return {
            name: Table(self.required(name, dict), self.file, self.name_of(name)) for name in names
        }

    def finish(self) -> None:
        """Refuse every key nobody asked for."""
        for key in self.values:
            raise self.error(key, "unknown key", f"allowed: {', '.join(sorted(self.allowed))}")
