"""Interpreters that leak by themselves are named, with what to do."""

from __future__ import annotations

import pytest

from leaklab.analysis.interpreters import advisories, known_interpreters, of_run


@pytest.mark.parametrize(
    ("version", "free_threaded", "names"),
    [
        ("3.14.2", False, ["incremental collector"]),
        ("3.14.5", False, []),
        ("3.13.1", False, []),
        ("3.13.1", True, ["free-threaded build"]),
        ("3.14.0rc1", False, []),
        ("3.14.4+", True, ["incremental collector", "free-threaded build"]),
        ("no version", False, []),
    ],
)
def test_rows_apply_by_version_and_build(
    version: str, free_threaded: bool, names: list[str]
) -> None:
    assert [row.name for row in advisories(version, free_threaded=free_threaded)] == names


def test_a_run_is_told_once_per_row() -> None:
    meta = {"processes": [{"python": "3.14.1"}, {"python": "3.14.1"}, {"python": None}]}
    (text,) = of_run(meta)
    assert text.startswith("CPython 3.14.1 has the incremental garbage collector")
    assert "upgrade to 3.14.5" in text


def test_every_row_says_what_it_rests_on() -> None:
    for row in known_interpreters():
        assert row.basis.startswith(("measured: ", "reported: ")), row
        assert row.what, row
        assert row.do, row
