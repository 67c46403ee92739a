"""Which limits the processes of a run live under, and how much of them others have filled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaklab.verdict.resources import ResourceVerdict

MACHINE = "memory of the machine"
GROUP, GROUP_THREADS = "limit of the control group", "pids.max"
ADDRESS_SPACE, DESCRIPTORS = "RLIMIT_AS", "RLIMIT_NOFILE"
# The limits that every process meets for itself; the others are met by all together.
OF_EACH = (ADDRESS_SPACE, DESCRIPTORS)
# Of its life, a process may be there for so much beside the one that takes its place: a server
# starts the next one while the last still ends its requests.
HANDOVER_SHARE = 0.25
# What run.json has the limit of a resource by, and that limit's name; "" where it says it itself.
_FIELDS = {
    "fd_count": ("descriptor_limit", DESCRIPTORS),
    "thread_count": ("thread_limit", ""),
    "child_count": ("thread_limit", ""),
    "shm_bytes": ("shared_memory_bytes", "size of /dev/shm"),
}
# What run.json tells a limit of a control group by: another figure is another group.
_OF_GROUP = {GROUP: "group_memory_bytes", GROUP_THREADS: "thread_limit"}


def smallest_limit(meta: Mapping[str, Any], role: str = "main") -> tuple[float, str] | None:
    """The memory limit that processes of a role meet first, and its name; None for none known.

    Looks at ``limits`` (memory_bytes, cgroup_memory_bytes, address_space_bytes), at what is known
    of the role's own processes, which stands in for the last two, at what an imported file says
    of the role's own, and at ``platform.memory_bytes``. What was asked of a
    file, or of a stored run when it is opened (``limit_asked_bytes``), is the answer to "what if":
    it stands in for all that is known.
    """
    limits, platform, told = (meta.get(key) or {} for key in ("limits", "platform", "import"))
    asked_bytes = meta.get("limit_asked_bytes") or ("import" in meta and limits.get("memory_bytes"))
    if asked_bytes:
        return float(asked_bytes), "--limit"
    in_file = (told.get("role_limits") or {}).get(role)
    group, address_space = (
        _of_processes(meta, role, own, limits.get(run_wide))
        for own, run_wide in (
            ("group_memory_bytes", "cgroup_memory_bytes"),
            ("address_space_bytes", "address_space_bytes"),
        )
    )
    known = [
        (limits.get("memory_bytes"), "--limit-memory"),
        (in_file or group, GROUP),
        (address_space, ADDRESS_SPACE),
        (platform.get("memory_bytes"), MACHINE),
    ]
    found = [(float(value), name) for value, name in known if value]
    return min(found) if found else None


def own_limit(meta: Mapping[str, Any], name: str, role: str = "main") -> tuple[float, str] | None:
    """The most of a resource other than memory that the processes of a role may have, and its name.

    Descriptors are those of each process; threads, children, each of which has at least one, and
    shared memory count together. None where it was not recorded, or there is none. The smallest
    counts.
    """
    field, limit_name = _FIELDS.get(name, ("", ""))
    found = [
        (float(row[field]), limit_name or str(row["thread_limit_name"]))
        for row in meta.get("processes") or ()
        if (row.get("role") or "main") == role and row.get(field)
    ]
    return min(found, default=None)


def _of_processes(
    meta: Mapping[str, Any], role: str, field: str, run_wide: float | None
) -> float | None:
    """Return the smallest limit of a role's processes; that of the whole run where none is told."""
    told = [
        row[field]
        for row in meta.get("processes") or ()
        if (row.get("role") or "main") == role and field in row
    ]
    return min(filter(None, told), default=None) if told else run_wide


def met_by_all(meta: Mapping[str, Any], role: str, limit: tuple[float, str]) -> tuple[float, str]:
    """Return a limit as the figures of a role meet it, which are of all its processes together."""
    count = together_count(meta, role) if limit[1] in OF_EACH else 1
    name = f"{limit[1]} of {count} processes" if count > 1 else limit[1]
    return count * limit[0], name


def together_count(meta: Mapping[str, Any], role: str) -> int:
    """Return how many processes of a role were there at once in one pass, at the most; at least 1.

    One that takes the place of another is no further one, also where that still winds up. What
    goes on after a process's work has ended does not count.
    """
    lives: dict[str, list[tuple[float, float]]] = {}
    for row in meta.get("processes") or ():
        if (row.get("role") or "main") == role:
            lives.setdefault(row.get("pass", ""), []).append(_life(row))
    return max((_place_count(group) for group in lives.values()), default=1)


def _life(row: Mapping[str, Any]) -> tuple[float, float]:
    begun, over = float(row.get("started_seconds") or 0.0), row.get("work_ended_seconds")
    return begun, _ended(row) if over is None else max(begun, min(float(over), _ended(row)))


def _place_count(lives: Sequence[tuple[float, float]]) -> int:
    """Return how many places it takes for lives, given by begin and end, to follow one another."""
    last = max(end for _, end in lives)
    places: list[tuple[float, float]] = []
    for life in sorted(lives):
        left = [place for place in places if _follows(life, place, last)]
        if left:
            places.remove(min(left, key=lambda place: place[1]))
        places.append(life)
    return len(places)


def _follows(life: tuple[float, float], former: tuple[float, float], last: float) -> bool:
    """Whether a life takes the place of a former one; ``last``: when the last of all ended."""
    (begun, ended), (former_begun, former_ended) = life, former
    both_seconds = former_ended - begun
    if both_seconds <= 0:
        return True
    if former_ended > ended or former_ended == last:
        return False
    # How long one would have lived that was there to the end is not known.
    length = math.inf if ended == last else ended - begun
    return both_seconds <= HANDOVER_SHARE * min(length, former_ended - former_begun)


def held_by_others(
    meta: Mapping[str, Any],
    resources: Sequence[ResourceVerdict],
    entry: ResourceVerdict,
    limit_name: str,
) -> float:
    """Return how much of a limit was filled by the other roles at the end of a run.

    Nothing of a limit that each process meets for itself, and nothing where roles have limits of
    their own, as in an import or in control groups that differ. A role that was gone before half of
    the grown one's time is not there to be counted.
    """
    if limit_name in OF_EACH or "import" in meta:
        return 0.0
    half = _gone_seconds(meta, entry.role) / 2
    return sum(
        one.last
        for one in resources
        if one.name == entry.name
        and one.role != entry.role
        and met_together(meta, entry.role, one.role, limit_name)
        and math.isfinite(one.last)
        and _gone_seconds(meta, one.role) >= half
    )


def met_together(meta: Mapping[str, Any], role: str, other: str, limit_name: str) -> bool:
    """Whether what a second role holds counts towards a limit that the first one meets."""
    if limit_name in OF_EACH:
        return False
    field = _OF_GROUP.get(limit_name)
    if field is None:
        return True
    mine, its = (_of_processes(meta, each, field, None) for each in (role, other))
    return mine == its


def _gone_seconds(meta: Mapping[str, Any], role: str) -> float:
    """When the last process of a role had ended, in the pass where that was latest."""
    rows = [row for row in meta.get("processes") or () if (row.get("role") or "main") == role]
    return max(map(_ended, rows), default=math.inf)


def _ended(row: Mapping[str, Any]) -> float:
    ended = row.get("ended_seconds")
    return math.inf if ended is None else float(ended)


def stopped_at_limit(meta: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the pass that was stopped by ``--limit-memory``, and that limit in bytes.

    None where none was, or where another limit is asked about.
    """
    limit_bytes = (meta.get("limits") or {}).get("memory_bytes")
    if not limit_bytes or meta.get("limit_asked_bytes"):
        return None
    stopped = [
        str(entry.get("pass"))
        for entry in meta.get("passes") or ()
        if entry.get("stopped_by") == "limit-memory"
    ]
    return (stopped[0], float(limit_bytes)) if stopped else None
