"""From series and heaps to a verdict."""
