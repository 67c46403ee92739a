"""Runs, comparisons and tables of runs: data that renders itself."""
