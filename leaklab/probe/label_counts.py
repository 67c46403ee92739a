"""How many units of work ended under each label since the recorder was told last."""

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
