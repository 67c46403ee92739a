"""From a run's tables to figures: pure functions, no input or output, no printing."""
