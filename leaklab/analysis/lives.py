"""Workers that are replaced after so much work: each life starts small, so their sum is no leak.

``max_requests``, ``maxtasksperchild`` and the like hide growth in a sawtooth: what a role holds
falls each time. So growth is looked for within lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Entry = TypeVar("Entry", bound="Mapping[str, Any]")

# Units of work from which a life says something about growth by them.
FEWEST_MARKS = 8


def replaced_lives(members: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Return the processes of a role that are lives of workers which were replaced; else none.

    members: entries of ``meta["processes"]`` by number. A worker is replaced where another process
    of the role begins after it has ended; helpers that do hardly any marked work are not counted.

        >>> replaced_lives({
        ...     1: {"mark_count": 50, "started_seconds": 0.0, "ended_seconds": 9.0},
        ...     2: {"mark_count": 50, "started_seconds": 9.1, "ended_seconds": None},
        ... })
        [1, 2]
    """
    lives = [n for n, entry in members.items() if (entry.get("mark_count") or 0) >= FEWEST_MARKS]
    ends = [members[n].get("ended_seconds") for n in lives]
    known = [float(end) for end in ends if end is not None]
    begun = max((float(members[n].get("started_seconds") or 0.0) for n in lives), default=0.0)
    return lives if known and min(known) <= begun else []


def longest_life(members: dict[int, Entry]) -> dict[int, Entry]:
    """Return the one life with the most marks, where workers were replaced; else all members.

    What is exact in each life needs no mean over several.
    """
    lives = replaced_lives(members)
    if not lives:
        return members
    longest = max(lives, key=lambda n: members[n].get("mark_count") or 0)
    return {longest: members[longest]}
