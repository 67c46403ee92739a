"""One site in two folders: a fix is often recorded from a checkout, or a file, of its own."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from leaklab.verdict.judge import Verdict

_Place = tuple[str, ...]


def as_of_before(
    before: tuple[Mapping[str, Any], Verdict], after: tuple[Mapping[str, Any], Verdict]
) -> Verdict:
    """Return the verdict of after, its sites under the fingerprints that they have in before.

    A fingerprint holds the names of files. Where the two scripts have other names, a site that only
    one run knows is that of the other with the same stack of functions, each in the same file as
    seen from the script. ``before`` and ``after``: run.json and verdict.
    """
    scripts = [_script(meta) for meta, _ in (before, after)]
    old, new = before[1].suspects, after[1].suspects
    if None in scripts or scripts[0] == scripts[1] or not (len(old) and len(new)):
        return after[1]
    known, told = set(old["fingerprint"]), set(new["fingerprint"])
    there = {
        _place(row, str(scripts[0])): row["fingerprint"]
        for row in old.to_dict("records")
        if row["fingerprint"] not in told
    }
    same = [
        row["fingerprint"]
        if row["fingerprint"] in known
        else there.get(_place(row, str(scripts[1])), row["fingerprint"])
        for row in new.to_dict("records")
    ]
    return replace(after[1], suspects=new.assign(fingerprint=pd.Series(same, index=new.index)))


def _script(meta: Mapping[str, Any]) -> str | None:
    """Return the script that a command names, as its frames do; None where it names none."""
    argv = [str(word) for word in (meta.get("command") or {}).get("argv") or ()]
    script = next((word for word in argv if word.endswith(".py")), None)
    return None if script is None else posixpath.normpath(script)


def _place(row: Mapping[Any, Any], script: str) -> _Place:
    """Return a site by role, function and callers, without lines, files as seen from the script."""
    frames = (row, *row["stack"])
    return (
        str(row["role"]),
        *(f"{_seen_from(script, str(one['file']))}:{one['function']}" for one in frames),
    )


def _seen_from(script: str, file: str) -> str:
    folder = posixpath.dirname(script)
    if file == script:
        return "(script)"
    return file.removeprefix(f"{folder}/") if folder else file
