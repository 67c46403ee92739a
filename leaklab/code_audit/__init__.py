"""Audit a code base for leaks: candidates from its source, and what a run says of each."""
