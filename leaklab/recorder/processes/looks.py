"""How a process is looked at: the pacing of its collections and snapshots, and what run.json says.

Looks are evenly spaced (see ``leaklab.probe.pacing``). A look is compared with others of its step
only: what was looked at in between, before the step had doubled, stays in the run's tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from leaklab.probe.pacing import Pacing

# Without marks the heap is looked at so often at first.
IDLE_SNAPSHOT_SECONDS = 0.1
# What may be spent whatever its share: a run of a second must have enough to be judged by.
FREE_SECONDS = 1.0
# Looks at the heap and collections: so many whatever they cost, and so many at most; fewer where
# each costs many times its budget, yet as many as any verdict needs.
FEWEST_SNAPSHOTS, FEWEST_EXPENSIVE, MOST_SNAPSHOTS = 16, 10, 256
FEWEST_COLLECTIONS, MOST_COLLECTIONS = 32, 1024
# Imports that have paused for this share of the life of a process are over, as far as is known.
PAUSE_SHARE = 1 / 16
# After so many collections in a row that freed nothing old, nothing is expected of another.
FREED_NOTHING = 4


def snapshot_pacing(share: float, started: float, unit: float = 1.0) -> Pacing:
    """Return the pacing of what costs as a snapshot may, within ``share`` of the target's time.

    ``started``: when the process was seen, in seconds. ``unit``: 1 for marks, else seconds.
    """
    return Pacing(
        share, FEWEST_SNAPSHOTS, MOST_SNAPSHOTS, FEWEST_EXPENSIVE, FREE_SECONDS, unit, started
    )


@dataclass
class OldGarbage:
    """Whether there may be any, beyond the young that dies in each unit of work.

    A collection of everything goes through all that has ever been imported, which takes a service
    30 ms; one of the young a twentieth of one, and it frees the cycles of requests all the same.
    """

    idle_count: int = 0
    young_count: int = 0

    def expected(self) -> bool:
        """Say whether to collect everything at this look.

        The last collections of everything have freed what those of the young had not; or it is
        time to make sure, after twice as many looks as the last time.
        """
        self.young_count += 1
        return self.idle_count < FREED_NOTHING or self.young_count > 2**self.idle_count

    def collected(self, freed_count: float | None) -> None:
        """Note how many objects a collection freed beyond the young; None where it did not say."""
        self.idle_count = self.idle_count + 1 if freed_count == 0 else 0
        self.young_count = 0


@dataclass
class Looks:
    """The pacing of one process. ``mark_step`` is the probe's: between marks that it tells."""

    collect_share: float
    snapshot_share: float
    started: float
    mark_step: int = 1
    interval_seconds: float | None = None
    #: age of the process, in seconds, from which on the steps of looks by time count
    idle_since_seconds: float = 0.0
    old_garbage: OldGarbage = field(default_factory=OldGarbage)
    collections: Pacing = field(init=False)
    snapshots: Pacing = field(init=False)
    idle_snapshots: Pacing = field(init=False)
    # What taking them costs is no time of the target's; it is kept to the same share of it.
    walks: Pacing = field(init=False)
    idle_walks: Pacing = field(init=False)

    def __post_init__(self) -> None:
        self.collections = Pacing(
            self.collect_share,
            FEWEST_COLLECTIONS,
            MOST_COLLECTIONS,
            FEWEST_EXPENSIVE,
            FREE_SECONDS,
            started=self.started,
        )
        share, started = self.snapshot_share, self.started
        self.snapshots, self.walks = (snapshot_pacing(share, started) for _ in range(2))
        self._pace_by_time(started)

    def _pace_by_time(self, begun: float) -> None:
        self.idle_snapshots, self.idle_walks = (
            snapshot_pacing(self.snapshot_share, begun, IDLE_SNAPSHOT_SECONDS) for _ in range(2)
        )

    def begin_work(self, imported: float, now: float) -> None:
        """Look as often as at a start where imports seem to be over, the last at ``imported``.

        Under a tracer they take so long, and so much of what looks may cost, that the work itself
        would be looked at a few times only. All in seconds of the pass.
        """
        known = self.started + self.idle_since_seconds
        if imported > known and now - imported >= PAUSE_SHARE * (now - self.started):
            # Steps begin where they did: the probe's calls come in time with them.
            since_count = (now - self.started) // IDLE_SNAPSHOT_SECONDS
            self.idle_since_seconds = since_count * IDLE_SNAPSHOT_SECONDS
            self._pace_by_time(now)

    def keep_up(self) -> None:
        """Look no more often than snapshots can be taken."""
        for at_target, at_reader in (
            (self.snapshots, self.walks),
            (self.idle_snapshots, self.idle_walks),
        ):
            at_target.step_count = max(at_target.step_count, at_reader.step_count)

    def row(self) -> dict[str, Any]:
        """Return what run.json says: steps in marks or seconds, null where nothing was looked at.

        The doubled counts say how often a step has doubled.
        """
        told, collected = self.mark_step, self.collections.look_count > 0
        at_marks = self.snapshots.look_count > 0
        by_time = self.idle_snapshots.look_count > 0
        return {
            "mark_step": told,
            "collection_step": max(told, self.collections.step_count) if collected else None,
            "snapshot_step": max(told, self.snapshots.step_count) if at_marks else None,
            "snapshot_step_seconds": self.idle_snapshots.step if by_time else None,
            "snapshots_since_seconds": self.idle_since_seconds if by_time else None,
            "sample_step_seconds": self.interval_seconds,
            "doubled": {
                "marks": told.bit_length() - 1,
                "collections": self.collections.doubled_count,
                "snapshots": self.snapshots.doubled_count + self.idle_snapshots.doubled_count,
            },
        }
