"""``leaklab show``."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from leaklab.cli import reading, recording
from leaklab.cli.progress import ReadProgress


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run",
        metavar="RUN",
        help="run folder or URL, name/variant, run id, or a file as `leaklab import` takes (- for "
        "standard input)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.add_argument("--object", metavar="TYPE", help="what keeps objects of this type alive")
    recording.add_fail_on_option(parser, "leak, inconclusive")
    recording.add_store_option(parser)
    recording.add_horizon_option(parser)
    reading.add_reading_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict and what it rests on."""
    from leaklab.present.text import run_text, type_text
    from leaklab.recordings import open_or_read
    from leaklab.results.as_json import plain

    with reading.with_piped([arguments.run]) as (name,):
        how = reading.reading_options(arguments)
        with ReadProgress() as progress:
            opened = open_or_read(name, arguments.store, progress=progress, **how)
    if arguments.horizon:
        opened = replace(opened, horizon_seconds=arguments.horizon)
    if arguments.object:
        from leaklab.findings.retention import holders_of_type

        rows = plain(holders_of_type(opened.data, arguments.object).to_dict("records"))
        print(json.dumps(rows, indent=1) if arguments.json else type_text(arguments.object, rows))
    elif arguments.json:
        print(json.dumps(opened.to_json(), indent=1))
    else:
        print(run_text(opened))
    return 3 if opened.verdict().verdict in arguments.fail_on else 0
