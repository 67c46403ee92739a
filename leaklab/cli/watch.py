"""``leaklab watch``."""

from __future__ import annotations

import argparse
import sys
import threading
import time

from leaklab.cli import output
from leaklab.errors import UsageError
from leaklab.quantities import duration_seconds, process_id

_LOOPBACK = "127.0.0.1"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    # No --fail-on: nothing is judged in the terminal, and of a stored run `show` asks.
    parser.description = (
        f"{parser.description} Status 0 also where they end, in whatever way: only their parent "
        "is told how."
    )
    parser.add_argument(
        "pid", metavar="PID", nargs="*", type=process_id, help="the processes to follow"
    )
    parser.add_argument(
        "--command",
        metavar="PATTERN",
        dest="patterns",
        action="append",
        default=[],
        help="follow what has this in its command line: one process, or any number with "
        "--metrics; may be given again",
    )
    parser.add_argument(
        "--interval",
        metavar="DURATION",
        type=duration_seconds,
        help="time between looks (default: 1s; 5s with --metrics)",
    )
    parser.add_argument(
        "--duration", metavar="DURATION", type=duration_seconds, help="stop after this"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for scripts")
    parser.add_argument(
        "--metrics",
        metavar="HOST:PORT",
        help="serve metrics for Prometheus there (a port alone: on loopback) and store a run",
    )
    parser.add_argument("--store", metavar="URL", help="where the run goes (default: data/runs)")
    parser.add_argument("--name", metavar="NAME", help="what the run is called (default: watch)")


def run(arguments: argparse.Namespace) -> int:
    """Print or serve the figures of the processes until they end, the time is over, or Ctrl-C."""
    if not arguments.pid and not arguments.patterns:
        raise UsageError("nothing to follow; give a PID, or --command PATTERN")
    if arguments.metrics is not None:
        return _serve(arguments)
    from leaklab.watch.terminal import lines

    pid = _only_process(arguments.pid, arguments.patterns)
    try:
        for line in lines(
            pid,
            interval_seconds=arguments.interval or 1.0,
            duration_seconds=arguments.duration,
            as_json=arguments.json,
        ):
            print(line, flush=True)
            if output.is_unread():
                break
    except KeyboardInterrupt:
        pass
    return 0


def _only_process(pids: list[int], patterns: list[str]) -> int:
    """Return the one process that is named; raises LeaklabError where there is not one."""
    if patterns:
        from leaklab.watch.matching import matching_now

        pids = sorted({*pids, *(process.pid for process in matching_now(patterns))})
    if len(pids) > 1:
        them = ", ".join(map(str, pids[:8])) + (", ..." if len(pids) > 8 else "")
        raise UsageError(
            f"{len(pids)} processes are named, and one is followed here: {them}; "
            "give its PID, or follow all as metrics with --metrics HOST:PORT"
        )
    return pids[0]


def _serve(arguments: argparse.Namespace) -> int:
    from leaklab.recorder.interruption import Interruption
    from leaklab.store import default_store
    from leaklab.watch.follow import Follower
    from leaklab.watch.metrics import serve
    from leaklab.watch.record import Recorder

    host, port = _address(arguments.metrics)
    step = arguments.interval or 5.0
    follower = Follower(arguments.pid, arguments.patterns, step_seconds=step)
    server, port = serve(follower, host, port)
    what = " ".join([*arguments.patterns, *map(str, arguments.pid)])
    recorder = Recorder(arguments.store or default_store(), arguments.name or "watch", what)
    print(f"leaklab: metrics at http://{host}:{port}/metrics", file=sys.stderr, flush=True)
    state = "complete"
    begun, due = time.monotonic(), time.monotonic()
    pause = threading.Event()
    told = False
    try:
        with Interruption() as interruption:
            while not interruption.count:
                recorder.look(follower.look())
                if recorder.problem and not told:
                    told = True
                    text = f"leaklab: {recorder.problem}; the metrics go on"
                    print(text, file=sys.stderr, flush=True)
                follower.judge()
                over = arguments.duration is not None
                if over and time.monotonic() - begun >= arguments.duration:
                    break
                if not follower.lives and not arguments.patterns:
                    break  # what was named has ended; a pattern may come back
                # From one plan, so that a slow look does not push all later ones back.
                due = max(due + step, time.monotonic())
                while not interruption.count and (left := due - time.monotonic()) > 0:
                    pause.wait(min(left, 0.2))
            state = "interrupted" if interruption.count else "complete"
    finally:
        server.shutdown()
        server.server_close()
        path = recorder.close(state)
    print(path)
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit() or not 0 <= int(port) < 65536:
        raise UsageError(f"no address for metrics: {text}; give HOST:PORT, such as 127.0.0.1:9477")
    return host.strip("[]") or _LOOPBACK, int(port)
