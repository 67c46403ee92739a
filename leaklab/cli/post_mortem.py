"""``leaklab post-mortem``."""

from __future__ import annotations

import argparse

from leaklab.cli import recording


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run", metavar="RUN|STORE", help="a run as `leaklab show` takes it; of a store, the newest"
    )
    recording.add_store_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print how the run ended, what its memory did before, and what held what."""
    from leaklab.findings.ending import LastGraph, last_graph, near_limits, outermost, resident
    from leaklab.present.post_mortem import HOLDER_COUNT, post_mortem_text
    from leaklab.recorder.left_dumps import left_dump
    from leaklab.recordings.locating import locate
    from leaklab.results.run import Run
    from leaklab.store import open_run

    opened = Run(open_run(locate(arguments.run, arguments.store)))
    graph = last_graph(opened.data, opened.verdict().resources, HOLDER_COUNT)
    left = None if len(graph.held) else left_dump(opened.path)
    if left is not None:
        graph = LastGraph(outermost(left, HOLDER_COUNT))
    print(post_mortem_text(opened, resident(opened.data), near_limits(opened.data), graph))
    return 0
