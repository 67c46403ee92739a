"""What the process of one recording task does; its result goes back as plain values."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from leaklab.errors import LeaklabError
from leaklab.jobs.tasks import RecordingTask, TaskResult


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do the task with these fields; returns the fields of its result."""
    return asdict(record(RecordingTask(**task)))


def record(task: RecordingTask) -> TaskResult:
    """Record what the task says, judge it, and render the case's page where one is asked for."""
    from leaklab.catalogue.model import case
    from leaklab.results.as_json import plain
    from leaklab.results.overview import keep_summary

    started = time.monotonic()
    chosen = case(task.case)
    reason = chosen.missing()
    if reason is not None:
        return TaskResult(task.label, "skipped", error=reason)
    try:
        recorded = chosen.record(
            task.variant,
            quick=task.quick,
            fresh=task.fresh,
            store=task.store,
            progress=_silent,
            **task.parameters,
        )
        runs = recorded if task.variant is None else {task.variant: recorded}
        if any(run.meta["state"] == "interrupted" for run in runs.values()):
            return TaskResult(task.label, "failed", error="interrupted")
        for run in runs.values():
            keep_summary(run)  # judged once: the tables over all runs read it
        shown = [plain(_describe(chosen, name, run)) for name, run in runs.items()]
        if task.pages is not None:
            from leaklab.report import render_case

            render_case(chosen, runs, task.pages, notebook=task.notebook)
    except LeaklabError as error:
        return TaskResult(task.label, "failed", error=str(error))
    return TaskResult(
        label=task.label,
        state="done",
        runs=shown,
        duration_seconds=round(time.monotonic() - started, 3),
    )


def _describe(case: Any, variant: str, run: Any) -> dict[str, Any]:
    checked = case.check({variant: run})
    verdict = run.verdict()
    return {
        "path": run.path,
        "name": case.id,
        "variant": variant,
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "as_expected": not (checked["ok"] == False).any(),  # noqa: E712 - null is no failure
        "unmet": [
            f"{row['resource']}: expected {row['expected']}, measured {row['measured']}"
            for row in checked[checked["ok"] == False].to_dict("records")  # noqa: E712
        ],
    }


def _silent(event: dict[str, Any]) -> None:
    """Progress of one recording among many is nobody's to see."""
