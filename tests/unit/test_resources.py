"""The table of resources: one row is all that the verdict, words and figures need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic as s

import leaklab as ll
from leaklab import resources
from leaklab.present import choices, units
from leaklab.present.formatting import amount
from leaklab.results.run import Run


def test_every_row_is_complete() -> None:
    for row in (*resources.TABLE, *resources.FAMILIES):
        assert row.kind in ("level", "count", "gauge", "file"), row
        assert row.source in ("kernel", "tracer", "allocator", "interpreter", "user"), row
        assert row.title, row
        assert (row.kind == "count") == bool(row.noun[0]), row
        assert resources.is_bytes(row.name) != (row.kind in ("count", "gauge")), row


def test_what_is_judged_has_a_place_among_the_important() -> None:
    worst = resources.importance("no such resource")
    assert all(resources.importance(name) < worst for name in resources.judged_names())


def test_a_new_row_is_judged_shown_and_named_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = replace(
        resources.TABLE[0], name="gpu_bytes", title="memory of the GPU", material=float(1 << 20)
    )
    monkeypatch.setattr(resources, "TABLE", (*resources.TABLE, gpu))
    monkeypatch.setitem(resources._BY_NAME, gpu.name, gpu)
    run = Run(s.run(gpu_bytes=1e9 + 4e6 * np.arange(100.0)))
    entry = run.verdict().resource("gpu_bytes")
    assert entry is not None
    assert entry.verdict == "leak"
    assert choices.headlines([entry]) == [("gpu_bytes", "main")]
    assert units.title("gpu_bytes") == "memory of the GPU"
    assert "gpu_bytes" in str(run)
    assert "MiB" in amount("gpu_bytes", 4e6)


def test_words_of_a_count() -> None:
    assert amount("child_count", 1) == "1 child"
    assert amount("child_count", 2, signed=True) == "+2 children"
    assert units.title("thread_count", "worker") == "threads of worker"
    assert units.title("file_bytes:db.sqlite") == "size of db.sqlite"
    assert units.title("gauge:cache_bytes") == "cache"


@pytest.mark.parametrize(
    ("name", "scale", "verdict"),
    [("used_ratio", 0.5, "leak"), ("heap_used_gb", 2.3, "leak"), ("used_ratio", 0.0, "bounded")],
)
def test_growth_of_a_gauge_matters_by_its_own_level(name: str, scale: float, verdict: str) -> None:
    x = np.arange(0.0, 86_000, 300)
    y = 0.4 + scale * x / x[-1] + s.noise(len(x), 0.002)
    assert ll.judge_series(x, y, resource=f"gauge:{name}").verdict == verdict


def test_a_gauge_that_counts_matters_by_three() -> None:
    assert resources.material_of("gauge:queue", [0.0, 2.0]) == 3.0
    assert resources.material_of("gauge:percent", [300.5, 500.0]) == 3.0
    assert resources.material_of(resources.CPU, [0.1, 0.2]) == 3.0
    assert resources.material_of("fd_count", [0.5]) == 3.0
