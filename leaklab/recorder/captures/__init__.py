"""Captures that memray has written, read into runs."""

# A capture that was archived begins with it.
LZ4_FRAME = b"\x04\x22\x4d\x18"
