"""Object graphs: dumps, dominators, paths from roots, tables; pure functions."""
