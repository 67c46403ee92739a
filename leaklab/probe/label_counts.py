"""How many units of work ended under each label since the recorder was told last."""

import sys

OTHER = "other"
# So many labels are told apart at a time; the rarest beyond that are counted together.
KEPT_COUNT = 64
LENGTH = 120


class LabelCounts:
    """Counts by label in bounded memory, whatever a target uses as labels.

    >>> counts = LabelCounts()
    >>> counts.add("GET /export")
    >>> counts.take()
    {'GET /export': 1}
    """

    def __init__(self):
        self._counts = {}
        self._threads = set()
        self._under_way = 1
        # Whether the target says by itself when a unit ends: then nobody sees where one begins.
        self.by_hand = False
        # Whether mark() was called, and whether what we watch for has ended a unit.
        self.called = self.seen = False

    def under_way(self, count):
        """Take note of how many units are under way at the end of one."""
        if count > self._under_way:
            self._under_way = count

    def ended_in(self, thread):
        """Take note of the thread that a unit has ended in."""
        if thread not in self._threads and len(self._threads) < KEPT_COUNT:
            self._threads.add(thread)

    def at_once(self, task_count):
        """Return how many units may have been under way at once, at the most; None unknown.

        By what was seen, the threads they ended in and, of a target that marks by itself, the
        number of asyncio tasks (None without a loop).
        """
        tasks = (task_count or 1) if self.by_hand else 1
        known = max(self._under_way, len(self._threads), tasks)
        greenlets = "gevent" in sys.modules or "eventlet" in sys.modules
        return None if known == 1 and self.by_hand and greenlets else known

    def add(self, label):
        """Count one unit of work under ``label``; what is no text is no label."""
        if label is None:
            return
        if type(label) is not str:
            return  # nothing of the target's own is run for it
        if len(label) > LENGTH:
            label = label[:LENGTH]
        counts = self._counts
        if label in counts:
            counts[label] += 1
            return
        if len(counts) >= 2 * KEPT_COUNT:
            self._merge()
        self._counts[label] = 1

    def take(self):
        """Return the counts since the last call, and begin anew."""
        counts, self._counts = self._counts, {}
        return counts

    def _merge(self):
        counts = self._counts
        rest = counts.pop(OTHER, 0)
        ranked = sorted(counts.items(), key=lambda entry: entry[1], reverse=True)
        self._counts = dict(ranked[: KEPT_COUNT - 1])
        self._counts[OTHER] = rest + sum(count for _, count in ranked[KEPT_COUNT - 1 :])
