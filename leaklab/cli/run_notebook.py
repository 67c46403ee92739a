"""``leaklab run``."""

from __future__ import annotations

import argparse

from leaklab.cli import recording
from leaklab.errors import UsageError
from leaklab.quantities import duration_seconds


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "notebook",
        metavar="NOTEBOOK",
        help="path or URL of an .ipynb file, or the name of one of leaklab's own "
        "(99-your-own-script); paths in its parameters are seen from its folder",
    )
    recording.add_parameter_option(parser, "set a parameter of the notebook (repeatable)")
    parser.add_argument(
        "--help-notebook", action="store_true", help="list the notebook's parameters and stop"
    )
    parser.add_argument(
        "--output",
        metavar="URL",
        help="folder or bucket for the executed notebook, HTML and verdict.json "
        "(default: beside the store)",
    )
    parser.add_argument(
        "--kernel",
        metavar="NAME",
        help="kernel to run it in (default: the one it names, python3 where it names none)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep what an equal job has already done"
    )
    parser.add_argument(
        "--timeout", type=duration_seconds, metavar="DURATION", help="limit for each cell"
    )
    recording.add_fail_on_option(
        parser,
        "leak, inconclusive, unexpected: exit status 3 if a run in the notebook is so; worse: than "
        "in the newest earlier job with the same parameters",
        more=("worse",),
    )
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check the parameters, execute, render; print where the results are."""
    from leaklab.jobs import describe, notebook_parameters, run_notebook
    from leaklab.store.location import reports_folder

    if arguments.help_notebook:
        print(describe(notebook_parameters(arguments.notebook)))
        return 0
    given = {}
    for name, value in arguments.parameters:
        if name in given:
            raise UsageError(f"parameter given twice: {name}; give it once")
        given[name] = value
    result = run_notebook(
        arguments.notebook,
        given,
        output_dir=arguments.output or str(reports_folder(arguments.store)),
        store=arguments.store,
        kernel=arguments.kernel,
        resume=arguments.resume,
        cell_timeout_seconds=arguments.timeout,
        progress=recording.note,
    )
    print(result.html)
    for entry in result.changed:
        label = "/".join(filter(None, (entry["name"], entry["variant"])))
        recording.note(f"{label}: {entry['outcome']}: {entry['reason']}")
    if result.error:
        recording.note(f"{result.name} failed: {result.error}; rendered up to there")
    return result.exit_status(arguments.fail_on)
