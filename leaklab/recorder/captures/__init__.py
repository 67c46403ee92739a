"""Captures that memray has written, read into runs."""
