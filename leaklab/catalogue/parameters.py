"""One parameter of a case or a notebook: its type, its default, and which values it takes."""

from __future__ import annotations

from typing import Any, Literal, Self, cast

from pydantic import model_validator

from leaklab.catalogue.declared import Declared, Listed
from leaklab.catalogue.values import TYPES, from_text
from leaklab.errors import UsageError

Value = int | float | str | bool


class Parameter(Declared):
    """A parameter. ``quick`` is the value at quick sizes (for reports and tests).

    Raises ValueError where a default is none of the values it takes.
    """

    name: str
    type: Literal["int", "float", "bool", "str"]
    default: Any
    quick: Any = None
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: Listed[str] = ()

    @model_validator(mode="after")
    def _defaults_are_values(self) -> Self:
        quick = self.default if self.quick is None else self.quick
        for name, value in (("default", self.default), ("quick value", quick)):
            if not self._takes(value):
                raise ValueError(f"the {name} of {self._refusal(value)}")
        return self

    @property
    def allowed(self) -> str:
        """What a value must be, for a message or a listing: ``int in 10..100000``."""
        if self.choices:
            return f"one of {', '.join(map(repr, self.choices))}"  # one may have a comma
        if self.minimum is None and self.maximum is None:
            return {"bool": "true or false"}.get(self.type, self.type)
        ends = ["" if end is None else f"{end:.10g}" for end in (self.minimum, self.maximum)]
        return f"{self.type} in {ends[0]}..{ends[1]}"

    def value(self, given: object) -> Value:
        """Return ``given`` (text from a command line, or a value) as this parameter's type.

        Raises UsageError when it is not of the type or not allowed.
        """
        value = self._coerced(given)
        if not self._takes(value):
            raise UsageError(self._refusal(given))
        return cast(Value, value)

    def at_size(self, *, quick: bool) -> Value:
        """Return the default, or the value at quick sizes where there is another."""
        value: Value = self.quick if quick and self.quick is not None else self.default
        return value

    def _refusal(self, given: object) -> str:
        return f"parameter {self.name}: {given!r}; allowed is {self.allowed}"

    def _takes(self, value: object) -> bool:
        number = type(value) is int and self.type == "float"
        if not number and type(value) is not TYPES[self.type]:
            return False
        if self.choices:
            return value in self.choices
        if not isinstance(value, (int, float)):
            return True
        low = float("-inf") if self.minimum is None else self.minimum
        return low <= value <= (float("inf") if self.maximum is None else self.maximum)

    def _coerced(self, given: object) -> object:
        """Text and whole numbers as this parameter's type; None for text that is none of it."""
        if isinstance(given, str):
            try:
                return from_text(self.type, given)
            except ValueError:
                return None
        return float(given) if self.type == "float" and type(given) is int else given
