"""Tells a mark that takes long from one that will never come back.

While one thread's mark is answered, those of the others wait for it. Nothing in it can switch to
another greenlet (see unpatched.py), and it is released however it ends; should it nevertheless be
lost, the target must not wait for ever.
"""

import sys

from .unpatched import get_ident, monotonic

# Of a mark that neither waits for the recorder nor does what takes long: a collection.
STUCK_SECONDS = 1.0
# One that still stands in the probe's code may only wait for its turn among hundreds of threads.
CROWDED_SECONDS = 10.0


class Watchdog:
    """Watches the thread that is in the middle of a call of the probe's."""

    def __init__(self, codes):
        self._codes = codes
        #: whether the call waits for the recorder, or does what may take any time
        self.excused = False
        self.step()

    def step(self):
        """Note that the call goes on."""
        self._stepped_seconds = monotonic()

    def lost(self, thread):
        """Say whether the call of ``thread`` has not come back and will not."""
        if self.excused or thread is None:
            return False
        still_seconds = monotonic() - self._stepped_seconds
        if still_seconds < STUCK_SECONDS:
            return False
        return still_seconds > CROWDED_SECONDS or not self._stands_in(thread)

    def _stands_in(self, thread):
        """Whether the code of the call is on the stack of ``thread`` now, not switched away."""
        frame = sys._current_frames().get(thread)
        # In the same thread whoever asks here stands in such a call of its own.
        wanted_count = 2 if thread == get_ident() else 1
        while frame is not None and wanted_count:
            wanted_count -= frame.f_code in self._codes
            frame = frame.f_back
        return not wanted_count
