"""The documented leaks: claim, workload, expectation; recorded and checked by one call."""
