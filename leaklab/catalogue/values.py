"""Values of parameters as text and back: one spelling for what leaklab sends and a target reads.

A target loads this with `leaklab.catalogue.harness`: the standard library alone, so that what it
loads is not seen in what is measured.
"""

from __future__ import annotations

TYPES: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_TRUE_FALSE = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def from_text(kind: str, text: str) -> object:
    """Return what ``text`` means as a value of the type called ``kind``.

    Raises ValueError for text that is none of it.

    >>> from_text("bool", "no"), from_text("int", "7")
    (False, 7)
    """
    if kind != "bool":
        return TYPES[kind](text)
    try:
        return _TRUE_FALSE[text.strip().lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def as_text(value: object) -> str:
    """Return the text that `from_text` reads as ``value``.

    >>> as_text(False), as_text(7)
    ('false', '7')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def option(name: str) -> str:
    """Return the option through which a target gets a parameter.

    >>> option("max_bytes")
    '--max-bytes'
    """
    return f"--{name.replace('_', '-')}"
