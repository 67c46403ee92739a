"""Does the fix work: outcomes by resource and site, and runs that may not be compared."""

from __future__ import annotations

import pytest
import synthetic as s

from leaklab.errors import LeaklabError
from leaklab.present.text import comparison_text
from leaklab.results.comparison import compare

COUNT = 200


def leaking(rate: float, **more: s.Series) -> s.RunData:
    return s.run(
        rss=s.leak(COUNT, rate) + s.noise(COUNT, 40_000),
        sites={"keep": s.leak(COUNT, rate)},
        **more,
    )


def healthy() -> s.RunData:
    return s.run(rss=s.noise(COUNT, 40_000), sites={"keep": s.steady(COUNT, 50_000)})


def test_fixed() -> None:
    found = compare(leaking(20_000), healthy())
    assert found.outcome == "fixed", found.reason
    assert set(found.resources["outcome"]) == {"fixed"}
    assert found.sites.iloc[0]["outcome"] == "fixed"
    assert found.sites.iloc[0]["function"] == "keep"


def test_improved_worse_and_unchanged() -> None:
    assert compare(leaking(40_000), leaking(20_000)).outcome == "improved"
    assert compare(leaking(20_000), leaking(40_000)).outcome == "worse"
    assert compare(leaking(20_000), leaking(20_400)).outcome == "unchanged"
    assert compare(healthy(), leaking(20_000)).outcome == "worse"
    assert compare(healthy(), healthy()).outcome == "unchanged"


def test_one_resource_fixed_and_another_left_is_improved() -> None:
    before = leaking(20_000, fd_count=s.leak(COUNT, 1))
    after = leaking(20_000, fd_count=s.steady(COUNT, 5))
    found = compare(before, after)
    assert found.outcome == "improved"
    assert "fd_count" in found.reason
    assert "heap_bytes" in found.reason


def test_too_few_marks_are_inconclusive() -> None:
    short = s.run(sites={"keep": s.leak(7, 20_000)})
    assert compare(short, healthy()).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "other"}, "name differs"),
        ({"parameters": {"iterations": 5}}, "parameters differs"),
        ({"versions": {"python": "3.9.1"}}, "interpreter differs"),
    ],
)
def test_incomparable_runs_are_refused(change: dict[str, object], named: str) -> None:
    with pytest.raises(LeaklabError, match=named):
        compare(leaking(1_000), s.run(sites={"keep": s.leak(COUNT, 1)}, meta=change))


def test_what_one_run_has_not_measured_is_not_called_fixed() -> None:
    whole = leaking(20_000)
    without = s.run(rss=s.noise(COUNT, 40_000))
    without.meta["state"] = "interrupted"
    for found, missing in ((compare(whole, without), "after"), (compare(without, whole), "before")):
        # Resident memory was measured in both: that it leaks only in the second is a fact.
        assert found.outcome == ("inconclusive" if missing == "after" else "worse")
        heap = found.resources.set_index("name").loc["heap_bytes"]
        assert heap[f"{missing}_verdict"] == "not measured"
        assert heap["outcome"] == "inconclusive"
        assert f"not measured in {missing}" in heap["reason"]
        assert set(found.sites["outcome"]) == {"not measured"}
        assert str(found.sites["line"].dtype).startswith("int")
        text = comparison_text(found)
        assert "interrupted (" in text
        assert "nan" not in text
