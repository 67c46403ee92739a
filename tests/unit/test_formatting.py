"""Figures as words: what a run of days says must be readable."""

from __future__ import annotations

import pytest

from leaklab.present.formatting import amount, holder_doubt, interval_text, rate_text, span_text

DAY = 86_400.0


@pytest.mark.parametrize(
    ("length", "unit", "text"),
    [
        (35.0, "second", "35 seconds"),
        (1_000.0, "second", "1,000 seconds"),
        (1_500.0, "second", "25 minutes"),
        (12_600.0, "second", "3.5 hours"),
        (12 * DAY, "second", "12 days"),
        (200_000.0, "iteration", "200,000 iterations"),
    ],
)
def test_spans(length: float, unit: str, text: str) -> None:
    assert span_text(length, unit) == text


def test_rates_of_long_runs_are_by_the_hour_and_day() -> None:
    per_second = 11.9 * 2**20 / DAY
    assert rate_text("rss_bytes", per_second, "second", 9 * DAY) == "11.9 MiB per day"
    assert rate_text("rss_bytes", per_second, "second", 10_000.0) == "508 KiB per hour"
    assert rate_text("rss_bytes", per_second, "second", 100.0) == "144 B per second"
    assert rate_text("rss_bytes", per_second, "iteration", 9 * DAY) == "144 B per iteration"
    text = interval_text("rss_bytes", per_second, 2 * per_second, "second", 9 * DAY)
    assert text == "11.9 MiB to 23.8 MiB"


def test_no_figure_has_an_exponent() -> None:
    assert amount("gauge:ratio", 1.29e-7) == "0.000000129"
    assert amount("rss_bytes", 1e-5) == "0.00001 B"
    assert amount("gauge:queue", 12_345.6) == "12,346"


@pytest.mark.parametrize(
    ("confidence", "rate", "said"),
    [("medium", 80_000.0, "in part "), ("medium", 800_000.0, ""), ("low", 80_000.0, "perhaps ")],
)
def test_a_holder_of_a_small_part_of_what_a_line_allocates_is_called_so(
    confidence: str, rate: float, said: str
) -> None:
    assert holder_doubt({"confidence": confidence, "rate": rate}, 1_500_000.0) == said
