"""Figures that other tools have written, as runs: one module a format, found by content."""
