"""A series that goes on for months in constant memory, evenly spaced at any time."""

from __future__ import annotations

MOST_POINTS = 400


class EvenSeries:
    """Figures over time at one distance; once there are too many, at twice the distance.

    ``peak`` is the highest figure of all looks: that is what a limit meets. So the points are
    always evenly spread over the whole life, the last quarter as dense as the rest, and a
    series of a year takes no more than one of an hour.
    """

    def __init__(self, step_seconds: float, most_points: int = MOST_POINTS) -> None:
        self.step_seconds = step_seconds
        self.seconds: list[float] = []
        self.values: list[float] = []
        self.peak: float | None = None
        self._most_points = most_points
        # A look that comes a little early is the one that was due.
        self._early_seconds = step_seconds / 4

    def add(self, seconds: float, value: float) -> bool:
        """Take a figure; returns whether it was kept as a point."""
        self.peak = value if self.peak is None else max(self.peak, value)
        if self.seconds and seconds - self.seconds[-1] < self.step_seconds - self._early_seconds:
            return False
        self.seconds.append(seconds)
        self.values.append(value)
        if len(self.seconds) > self._most_points:
            self.seconds, self.values = self.seconds[::2], self.values[::2]
            self.step_seconds *= 2
        return True

    @property
    def span_seconds(self) -> float:
        """From the first point to the last."""
        return self.seconds[-1] - self.seconds[0] if self.seconds else 0.0
