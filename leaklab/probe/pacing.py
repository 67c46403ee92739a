"""Where a run is looked at: evenly spaced, however long it is and whatever a look costs.

How long a run will be is unknown. So the step between looks is a power of two, and doubles: the
looks at its multiples are evenly spaced over all of the run, those between them are left out
afterwards, and the end of the run is looked at as closely as its beginning. (A distance that only
grows would see the end badly, which is where a leak is told from a warm-up.)
"""

# A single look that took long on a busy machine must not widen the step for good: it counts as so
# many times of what looks have cost so far, and as this part of their average.
_DEAREST = 3.0
_LATEST_PART = 0.2
# With so many looks left after every second one is dropped, a run is seen well enough for what may
# be spent freely not to be spent on more.
_ENOUGH = 256
# So many times over its budget, a look is expensive.
_EXPENSIVE = 3.0


class Pacing:
    """Says at which marks, or when, to look: the first time in each ``step`` of them.

    A step doubles where the looks would become more than ``most``, and where the budget is used up
    (``share`` of the target's time, or ``free_seconds`` where that is more and there are not looks
    enough), unless looks at this step cost no more than the share. But ``fewest`` are kept whatever
    they cost: less could not be judged; ``fewest_expensive`` where they cost many times their
    budget.

    x is a mark's number, or the age in seconds; then ``unit`` is the smallest step.

        >>> pacing = Pacing(share=0.1, fewest=16, most=256)
        >>> pacing.due(now=1.2, x=7)
        True
        >>> pacing.spent(seconds=0.01, x=7, now=1.2)
    """

    def __init__(
        self, share, fewest, most, fewest_expensive=None, free_seconds=0.0, unit=1.0, started=0.0
    ):
        self.step_count = 1
        self.look_count = 0
        self._share = share
        self._fewest = fewest
        self._fewest_expensive = fewest if fewest_expensive is None else fewest_expensive
        self._most = most
        self._free_seconds = free_seconds
        self._unit = unit
        self._started = started
        self._spent_seconds = 0.0
        self._cost_seconds = 0.0
        self._first = None
        self._last_x = 0.0

    @property
    def step(self):
        """The distance of looks that are to be compared, in marks or seconds."""
        return self.step_count * self._unit

    @property
    def doubled_count(self):
        """How often the step was doubled."""
        return self.step_count.bit_length() - 1

    def within_share(self, now):
        """Return whether looks have cost no more than their share, with nothing free."""
        return self._spent_seconds <= self._share_seconds(now)

    def next_x(self):
        """Return the least x at which another look may be due."""
        return (self._last_x // self.step + 1) * self.step if self.look_count else 0.0

    def due(self, now, x, expected_x=None):
        """Return whether to look at ``now`` (seconds); ``expected_x``: the end, where known."""
        if not self.look_count:
            return True
        if not self._crosses(x):
            return False
        self._fit(now, x, max(x, expected_x or 0))
        return self._crosses(x)

    def spent(self, seconds, x, now):
        """Book a look at ``x`` that held the target up for ``seconds``."""
        if not self.look_count:
            self._cost_seconds = seconds
            self._first = (now, x)
        else:
            known = min(seconds, _DEAREST * self._cost_seconds + 1e-4)
            self._cost_seconds += _LATEST_PART * (known - self._cost_seconds)
        self._spent_seconds += seconds
        self.look_count += 1
        self._last_x = x

    def _crosses(self, x):
        return x // self.step > self._last_x // self.step

    def _share_seconds(self, now):
        return self._share * (now - self._started)

    def _fit(self, now, x, end_x):
        while end_x > self._most * self.step:
            self.step_count *= 2
        enough = end_x >= 2 * _ENOUGH * self.step
        budget = max(0.0 if enough else self._free_seconds, self._share_seconds(now))
        if self._spent_seconds + self._cost_seconds <= budget:
            return
        expensive = self._spent_seconds > _EXPENSIVE * budget
        fewest = self._fewest_expensive if expensive else self._fewest
        first_now, first_x = self._first
        passed = x - first_x
        # What the looks themselves take is no time of the target's work.
        work = max(now - first_now - self._spent_seconds, 0.0) / passed if passed > 0 else 0.0
        while (
            self._cost_seconds > self._share * self.step * work and end_x >= 2 * self.step * fewest
        ):
            self.step_count *= 2
