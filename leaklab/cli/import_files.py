"""``leaklab import``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from leaklab.cli import recording
from leaklab.quantities import size_bytes


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="CSV, TSV, JSON lines; Prometheus JSON, Grafana CSV; mprof, psrecord, pidstat, top, "
        "ps, docker stats; memray captures (children's files beside them too) and pages; dumps of "
        "tracemalloc; log lines with --line; any of them as gzip",
    )
    parser.add_argument("--format", metavar="NAME", help="read it as this, whatever it looks like")
    parser.add_argument("--time", metavar="COL", help="column of times, or of iterations")
    parser.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="COL[=NAME]",
        help="column to judge, as rss_bytes, fd_count, gauge:NAME … or as mark, a count of units "
        "of work (repeatable)",
    )
    parser.add_argument("--unit", metavar="UNIT", help="of memory, if nothing says it: MiB, KB …")
    parser.add_argument("--group", metavar="COL", help="column that tells processes apart")
    parser.add_argument(
        "--line", metavar="REGEX", help=r"log lines: 'RSS=(?P<rss>[\d.]+) MB' takes out a figure"
    )
    parser.add_argument(
        "--limit", type=size_bytes, metavar="SIZE", help="what it may grow to, for the time left"
    )
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="load pickles (dumps of tracemalloc): runs whatever is in them",
    )
    parser.add_argument("--name", help="name of the run (the file's, without its ending)")
    parser.add_argument("--variant", help="variant, for example before or after")
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON instead")
    recording.add_fail_on_option(parser, "leak, inconclusive")
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write a run for each file and print its folder; what was understood goes to stderr."""
    from leaklab.importers.files import import_files
    from leaklab.importers.reading import Options
    from leaklab.recordings import open as open_run
    from leaklab.store import default_store

    options = Options(
        time=arguments.time,
        values=tuple(arguments.value),
        unit=arguments.unit,
        group=arguments.group,
        line=arguments.line,
        trust_pickle=arguments.trust_pickle,
    )
    folders = import_files(
        [Path(name) for name in arguments.files],
        options,
        form=arguments.format,
        name=arguments.name,
        variant=arguments.variant,
        limit_bytes=arguments.limit,
        store=arguments.store or default_store(),
        say=recording.note,
    )
    failed = False
    for folder in folders:
        if arguments.json or arguments.fail_on:
            opened = open_run(folder)
            failed = failed or opened.verdict().verdict in arguments.fail_on
            if arguments.json:
                print(json.dumps(opened.to_json(), indent=1), flush=True)
                continue
        print(folder, flush=True)
    return 3 if failed else 0
