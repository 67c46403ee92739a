"""``leaklab jobs``: many recordings of cases, on this machine or on a dask cluster."""

from __future__ import annotations

import argparse

from leaklab.cli import recording
from leaklab.errors import UsageError
from leaklab.quantities import count, duration_seconds, names


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("cases", metavar="CASE", nargs="*", help="cases (default: all that run)")
    parser.add_argument(
        "--variant", action="append", default=[], metavar="NAME", help="only this (repeatable)"
    )
    recording.add_parameter_option(
        parser,
        "values of a parameter, separated by commas: one recording for each (repeatable)",
        "VALUES",
    )
    parser.add_argument(
        "--repetitions", type=count, default=1, metavar="N", help="record each so many times"
    )
    parser.add_argument("--quick", action="store_true", help="the cases' small sizes")
    parser.add_argument(
        "--jobs", type=count, default=2, metavar="N", help="recordings at a time (default: 2)"
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="dask scheduler to run on (tcp://host:8786), or 'local' for one on this machine",
    )
    parser.add_argument(
        "--no-resume", action="store_true", help="also record what an earlier batch has done"
    )
    parser.add_argument(
        "--time-limit",
        type=duration_seconds,
        metavar="DURATION",
        help="for each recording (default: 30m)",
    )
    parser.add_argument("--dry-run", action="store_true", help="list the recordings and stop")
    recording.add_fail_on_option(
        parser, "leak, inconclusive, unexpected: exit status 3 if a run is so"
    )
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Record them all; print one line for each recording."""
    from leaklab.jobs.tasks import TIME_LIMIT_SECONDS, plan

    grid = {}
    for name, values in arguments.parameters:
        if name in grid:
            raise UsageError(f"parameter given twice: {name}; separate its values by commas")
        grid[name] = names(values)
    tasks = plan(
        arguments.cases,
        variants=arguments.variant,
        parameters=grid,
        repetitions=arguments.repetitions,
        quick=arguments.quick,
        store=arguments.store,
    )
    if arguments.dry_run:
        print("\n".join(task.label for task in tasks))
        return 0
    from leaklab.jobs.batch import run_batch

    result = run_batch(
        tasks,
        parallel=arguments.jobs,
        cluster=arguments.cluster,
        resume=not arguments.no_resume,
        time_limit_seconds=arguments.time_limit or TIME_LIMIT_SECONDS,
        progress=recording.note,
    )
    for one in result.results:
        for found in one.runs:
            print(f"{one.label}\t{found['verdict']}\t{found['path']}")
        if one.error:
            print(f"{one.label}\t{one.state}\t{one.error}")
    recording.note(result.summary())
    return result.exit_status(arguments.fail_on)
