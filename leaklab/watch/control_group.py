"""The memory of the control group of a process: what the kernel counts towards its limit."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_EVENTS = ("low", "high", "max", "oom", "oom_kill")


def memory(pid: int) -> dict[str, float]:
    """Return bytes by kind: current, peak, limit, anonymous, shared, page_cache; what is known.

    ``page_cache`` counts towards the limit and is given back before anything is killed: a group
    that grows by it alone does not leak. ``shared`` is what nobody gives back but who made it:
    segments in /dev/shm, mapped or not, and files in memory. Control groups version 2; empty where
    there are none.
    """
    folder = _folder(pid)
    if folder is None:
        return {}
    found = {}
    for kind, name in (("current", "memory.current"), ("peak", "memory.peak")):
        text = _text(folder / name)
        if text.isdigit():
            found[kind] = float(text)
    limits = [_text(each / "memory.max") for each in (folder, *folder.parents)]
    numbers = [float(text) for text in limits if text.isdigit()]
    if numbers:
        found["limit"] = min(numbers)
    parts = _table(folder / "memory.stat")
    for kind, name in (("anonymous", "anon"), ("shared", "shmem"), ("page_cache", "file")):
        if name in parts:
            found[kind] = parts[name]
    if "page_cache" in found:
        # To the kernel files in memory are part of what is cached of files.
        found["page_cache"] = max(found["page_cache"] - found.get("shared", 0.0), 0.0)
    return found


def memory_events(pid: int) -> dict[str, float]:
    """Return how often the group met its limits, by event (``oom_kill`` …); may be empty."""
    folder = _folder(pid)
    found = _table(folder / "memory.events") if folder is not None else {}
    return {name: found[name] for name in _EVENTS if name in found}


def memory_pressure(pid: int) -> float | None:
    """Return the share of the last minute in which some process waited for memory; None unknown."""
    folder = _folder(pid)
    text = _text(folder / "memory.pressure") if folder is not None else ""
    for field in text.partition("\n")[0].split():
        name, _, value = field.partition("=")
        if name == "avg60":
            return float(value) / 100
    return None


def _folder(pid: int) -> Path | None:
    for line in _text(Path(f"/proc/{pid}/cgroup")).splitlines():
        number, _, group = line.split(":", 2)
        if number == "0":
            # A container sees its own group as the root, whatever path its host has given it.
            for folder in (_ROOT / group.lstrip("/"), _ROOT):
                if (folder / "memory.stat").exists():
                    return folder
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _table(path: Path) -> dict[str, float]:
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0]: float(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
