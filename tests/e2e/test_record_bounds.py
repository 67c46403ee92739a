"""A bounded structure of a real library that still fills: recorded, and told apart from a leak."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import record

from leaklab.results.run import Run

# What a Celery worker's parent keeps of each task: celery.worker.state.successful_requests.
SOURCE = """
    import uuid
    from leaklab import mark
    {import}

    KEPT = {kept}

    for _ in range(400):
        KEPT.add(str(uuid.uuid4()) + "x" * 500)
        mark()
"""


@pytest.mark.parametrize(
    ("needs", "kept", "verdict"),
    [
        ("from celery.worker import state", "state.successful_requests", "inconclusive"),
        ("", "set()", "leak"),
    ],
)
def test_celerys_record_of_tasks_is_no_leak_before_it_is_full(
    tmp_path: Path, needs: str, kept: str, verdict: str
) -> None:
    source = SOURCE.replace("{import}", needs).replace("{kept}", kept)
    run = Run(record(tmp_path, source, passes=("explain",), graphs="fork"))
    heap = run.verdict().resource("heap_bytes")
    assert heap is not None and heap.verdict == verdict, heap.reason
    if verdict == "inconclusive":
        assert "LimitedSet" in heap.reason and "of 1,000 at most" in heap.reason
        assert 0 < heap.more_x < 1_000
