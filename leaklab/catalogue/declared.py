"""Strict reading of what others write by hand: a misspelt key is an error, never a default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

T = TypeVar("T")
# What a table is called, it does not say itself.
GIVEN = {"name", "id", "folder"}


class Declared(BaseModel):
    """A table of a file: every key has its type, and no other key is allowed."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _python_range(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError(f"not a version range: {text!r}; write e.g. '>=3.12'") from None
    return text


PythonRange = Annotated[str, AfterValidator(_python_range)]


def with_names(tables: object) -> object:
    """Return the tables of a file that are told apart by their keys, each with its key as name."""
    if not isinstance(tables, Mapping):
        return tables
    return {key: given(below, name=key) for key, below in tables.items()}


def given(table: object, **known: object) -> object:
    """Return a table with what is known beside it; raises ValueError where it says that itself."""
    if not isinstance(table, Mapping):
        return table
    for key in known.keys() & table.keys():
        raise ValueError(f"unknown key {key} in {known[key]}, which is called that already")
    return {**table, **known}


# A TOML array; what is read never changes.
Listed = Annotated[tuple[T, ...], Field(strict=False)]
Named = Annotated[dict[str, T], BeforeValidator(with_names)]


def first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first problem of a file in one line: key, what is wrong, and what is allowed."""
    problem = error.errors(include_url=False)[0]
    place = problem["loc"]
    name = ".".join(str(key + 1) if isinstance(key, int) else key for key in place)
    if problem["type"] == "missing":
        return f"{name}: is missing; add it"
    if problem["type"] == "extra_forbidden":
        return f"{name}: unknown key; allowed: {', '.join(_keys_beside(place, model))}"
    value, context = problem["input"], problem.get("ctx", {})
    if problem["type"] == "value_error":
        return f"{name}: {context['error']}" if name else str(context["error"])
    if problem["type"] == "literal_error":
        return f"{name}: unknown value {value!r}; allowed: {context['expected']}"
    wanted = problem["msg"].replace("Input should be", "it must be").replace("tuple", "list")
    kind = "ill-typed value" if problem["type"].endswith("_type") else "value not allowed"
    return f"{name}: {kind} {value!r}; {wanted}"


def _keys_beside(place: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """The keys that a table has where a key stood that it has not."""
    for key in place[:-1]:
        for name, field in model.model_fields.items():
            if key in (name, field.alias):
                model = _model_of(field.annotation) or model
    keys = {field.alias or name for name, field in model.model_fields.items()}
    return sorted(keys - GIVEN)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model within an annotation such as dict[str, Variant]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = map(_model_of, getattr(annotation, "__args__", ()))
    return next(filter(None, found), None)
