"""run.json without what its owner may not show.

By type, not by key: numbers, booleans and null are figures and stay, whatever they are called. Of
texts, keys among them, only leaklab's own words stay (`leaklab.report.own_words`); any other is
something that the target, its owner or its machine has said. So a key that is new tomorrow is
judged here as it is on the open page, and a text that is new tomorrow is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from leaklab.findings.stop_gap import server_of
from leaklab.report.own_words import own_words

HIDDEN = "…"
TARGET = "target"
# What says which recording this is, on which kind of machine: none of it is said by the target.
_IDENTITY = ("run_id", "leaklab_version", "created", "variant")
_PLATFORM = ("system", "machine", "implementation")
_VERSION = re.compile(r"\d+(?:\.\d+)*(?:(?:a|b|rc)\d+)?t?\+?")
# Whether a program died while it imported is told by how its last traceback is laid out.
_TRACEBACK, _IN_MODULE = "Traceback (most recent call last):", ", in <module>"
# The name of a run of pytest's is that of the test and of its file.
_OF_PYTEST = "leaklab_inside"


def hidden_meta(meta: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return run.json as it may be shown. ``names``: what roles and figures are called instead."""
    figures = {name: alias for name, alias in names.items() if ":" in name}
    kept: dict[str, Any] = _shown(meta, figures)
    kept |= {key: meta[key] for key in _IDENTITY if key in meta}
    kept["name"] = meta.get("name") if of_case(meta) or _is_given(meta) else TARGET
    kept["case"] = meta.get("case") if of_case(meta) else None
    kept["parameters"] = _parameters(meta)
    kept["command"] = {**kept.get("command", {}), "argv": [*filter(None, [server_of(meta)])]}
    kept["platform"] = {**kept.get("platform", {}), **_platform(meta.get("platform") or {})}
    versions = meta.get("versions") or {}
    kept["versions"] = {key: _version(versions[key]) for key in kept.get("versions", {})}
    for entry, shown in _both(meta, kept, "passes"):
        shown["started"] = entry.get("started")
        shown["stderr_tail"] = _layout(str(entry.get("stderr_tail") or ""))
    for entry, shown in _both(meta, kept, "processes"):
        role = str(entry.get("role") or "main")
        shown |= {"role": names.get(role, role), "python": _version(entry.get("python"))}
    title = str((meta.get("import") or {}).get("format") or "")
    for entry, shown in _both(meta, kept, "events"):
        shown.setdefault("text", "")
        if title in own_words() and str(entry.get("text")).startswith(f"{title}: "):
            shown["text"] = f"{title}: {HIDDEN}"
    return kept


def _both(
    meta: Mapping[str, Any], kept: Mapping[str, Any], key: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The entries of one list of run.json, each with what is shown of it."""
    return zip(meta.get(key) or (), kept.get(key) or (), strict=True)


def _platform(platform: Mapping[str, Any]) -> dict[str, Any]:
    """The kind of machine; a kernel's release without what whoever built it has called it."""
    known = {key: platform[key] for key in _PLATFORM if key in platform}
    return known | ({"release": _version(platform["release"])} if "release" in platform else {})


def of_case(meta: Mapping[str, Any]) -> bool:
    """Say whether the target is a documented case's: leaklab's own, its names known to all."""
    from leaklab.catalogue.model import FOLDER

    case = (meta.get("case") or {}).get("id")
    return bool(case) and case == meta.get("name") and (FOLDER / str(case) / "case.toml").is_file()


def _is_given(meta: Mapping[str, Any]) -> bool:
    """Say whether the run's name was chosen for it, and is not that of a file or a test."""
    argv = (meta.get("command") or {}).get("argv") or ()
    return bool(meta.get("name_given")) and _OF_PYTEST not in argv


def _parameters(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What a case was run with, which its expectations are worked out from; no others are read."""
    given = (meta.get("parameters") or {}) if of_case(meta) else {}
    return {key: value for key, value in given.items() if not isinstance(value, str)}


def _shown(value: Any, names: Mapping[str, str]) -> Any:
    """A value of run.json by its type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        if value in names:
            return names[value]
        return value if not value.strip() or value in own_words() else HIDDEN
    if isinstance(value, Mapping):
        keys = {key: names.get(key, key) for key in value if key in names or key in own_words()}
        return {alias: _shown(value[key], names) for key, alias in keys.items()}
    if isinstance(value, list | tuple):
        return [_shown(each, names) for each in value]
    return HIDDEN


def _version(text: Any) -> str | None:
    """The version that a text begins with, and whether it is one without the interpreter's lock."""
    found = _VERSION.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    return found[0] + (" free-threading" if "free-threading" in text else "")


def _layout(stderr: str) -> str:
    """The end of an output, as far as it tells that an import has failed."""
    _, between, last = stderr.rpartition(_TRACEBACK)
    told = [between, *last.count(_IN_MODULE) * [_IN_MODULE]] if _IN_MODULE in last else []
    return "\n".join([*filter(None, told), HIDDEN]) if stderr.strip() else ""
