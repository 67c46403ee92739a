"""Workers that are replaced: each life starts small, so their sum is no leak.

``max_requests``, ``maxtasksperchild``, a supervisor that starts anew what has died: they hide
growth in a sawtooth, for what a role holds falls each time. So growth is looked for within lives.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Entry = TypeVar("Entry", bound="Mapping[str, Any]")

# Units of work from which a life says something about growth by them.
FEWEST_MARKS = 8


# What has ended sooner has hardly started.
START_SECONDS = 1.0
# A worker may begin before the end of the one it replaces was noticed, or is over: by this share of
# that one's life.
OVERLAP_SHARE = 0.1


def replaced_lives(members: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Return the processes of a role that are lives of workers which were replaced; else none.

    members: entries of ``meta["processes"]`` by number. A worker is replaced where another process
    of the role begins after it has ended; helpers that do hardly any marked work are not counted.
    Without marks those are not that hardly live, nor where ever more of them are there at once.

        >>> replaced_lives({
        ...     1: {"mark_count": 50, "started_seconds": 0.0, "ended_seconds": 9.0},
        ...     2: {"mark_count": 50, "started_seconds": 9.1, "ended_seconds": None},
        ... })
        [1, 2]
    """
    lives = [n for n, entry in members.items() if (entry.get("mark_count") or 0) >= FEWEST_MARKS]
    if not lives:
        return _by_time(members)
    ends = [members[n].get("ended_seconds") for n in lives]
    known = [float(end) for end in ends if end is not None]
    begun = max((float(members[n].get("started_seconds") or 0.0) for n in lives), default=0.0)
    return lives if known and min(known) <= begun else []


def _by_time(members: Mapping[int, Mapping[str, Any]]) -> list[int]:
    spans = {
        n: _span(entry) for n, entry in members.items() if (entry.get("process_count") or 1) == 1
    }
    spans = {n: (begin, end) for n, (begin, end) in spans.items() if end - begin >= START_SECONDS}
    latest = max((begin for begin, _ in spans.values()), default=0.0)
    over = [end - OVERLAP_SHARE * (end - begin) for begin, end in spans.values()]
    replaced = [end for end in over if end <= latest]
    if not replaced:
        return []
    at_first = sum(begin < min(replaced) for begin, _ in spans.values())
    # Those that pile up are growth themselves, which only their sum shows.
    return list(spans) if len(spans) - len(replaced) <= at_first else []


def _span(entry: Mapping[str, Any]) -> tuple[float, float]:
    end = entry.get("ended_seconds")
    return float(entry.get("started_seconds") or 0.0), math.inf if end is None else float(end)


def longest_life(members: dict[int, Entry]) -> dict[int, Entry]:
    """Return the one life with the most marks, or without any the one that lasted longest, where
    workers were replaced; else all members.

    What is exact in each life needs no mean over several. One whose heap was traced comes first.
    """
    lives = replaced_lives(members)
    if not lives:
        return members
    spans = {n: _span(members[n]) for n in lives}
    now = max(time for span in spans.values() for time in span if math.isfinite(time))

    def lasted(number: int) -> tuple[bool, int, float]:
        begin, end = spans[number]
        entry = members[number]
        return bool(entry.get("traced")), entry.get("mark_count") or 0, min(end, now) - begin

    longest = max(lives, key=lasted)
    return {longest: members[longest]}
