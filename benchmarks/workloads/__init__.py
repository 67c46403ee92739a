"""Programs the benchmarks run: each does N units of work, marks them, and notes its own seconds."""
