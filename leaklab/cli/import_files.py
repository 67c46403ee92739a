"""``leaklab import``."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from leaklab.cli import reading, recording
from leaklab.cli.progress import ReadProgress
from leaklab.errors import LeaklabError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="CSV, TSV, JSON, JSON lines, parquet, feather; Prometheus JSON, text of /metrics, "
        "Grafana CSV; answers of CloudWatch, Datadog, Google and Azure, exports of InfluxDB, "
        "metrics of OpenTelemetry; mprof, psrecord, pidstat, top, ps, smem, docker stats, kubectl "
        "top; memray captures (children's files beside them too) and pages; dumps of tracemalloc; "
        "log lines with --line; any of them as gzip; - for standard input",
    )
    reading.add_reading_options(parser)
    parser.add_argument("--name", help="name of the run (the file's, without its ending)")
    parser.add_argument("--variant", help="variant, for example before or after")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the verdict as JSON instead: of several files one document a line",
    )
    recording.add_fail_on_option(parser, "leak, inconclusive")
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write a run for each file and print its folder; what was understood goes to stderr.

    A file that was imported before, with the same options, has its run already.
    """
    with reading.with_piped(arguments.files) as names, ReadProgress() as progress:
        return _imported(names, arguments, progress)


def _imported(names: list[str], arguments: argparse.Namespace, progress: ReadProgress) -> int:
    from leaklab.importers.files import import_files
    from leaklab.importers.reading import Options
    from leaklab.recordings import open as open_run
    from leaklab.recordings.locating import find_recording
    from leaklab.store import default_store
    from leaklab.store.location import absolute_path, is_local, local_path

    given = reading.reading_options(arguments)
    form, limit_bytes = given.pop("format"), given.pop("limit_bytes")
    store = arguments.store or default_store()
    store = absolute_path(store) if is_local(store) else store
    results = import_files(
        [Path(local_path(name)) for name in names],
        Options(**given),
        form=form,
        name=arguments.name,
        variant=arguments.variant,
        limit_bytes=limit_bytes,
        store=store,
        find=partial(find_recording, store),
        say=recording.note,
        progress=progress,
    )
    # Several documents in one stream are told apart by lines.
    indent = 1 if len(arguments.files) == 1 else None
    found = False
    errors: list[LeaklabError] = []
    for folder in results:
        if isinstance(folder, LeaklabError):
            errors.append(reading.as_given(folder, arguments.files, names))
            continue
        if arguments.json or arguments.fail_on:
            opened = open_run(folder)
            found = found or opened.verdict().verdict in arguments.fail_on
            if arguments.json:
                print(json.dumps(opened.to_json(), indent=indent), flush=True)
                continue
        print(folder, flush=True)
    return recording.status_of(errors) or (3 if found else 0)
