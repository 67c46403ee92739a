"""For all tests."""

from __future__ import annotations

import signal

# Started in the background of a script, everything here would ignore SIGINT, and so would the
# targets that are to be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)
