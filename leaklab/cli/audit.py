"""``leaklab audit``."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from leaklab.cli import recording
from leaklab.errors import UsageError
from leaklab.whole_file import write_named

CONFIRMED, NEW = "confirmed", "new"
FAILING = (CONFIRMED, NEW)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = "leaklab audit PATH… [options] [--run RUN | -- COMMAND…]"
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files and folders of source")
    parser.add_argument("--run", metavar="RUN", help="a run of this source says which matter")
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")
    parser.add_argument("--sarif", metavar="FILE", help="also write SARIF 2.1.0")
    parser.add_argument(
        "--baseline", metavar="FILE", help="known candidates: of these none fails the audit"
    )
    parser.add_argument(
        "--write-baseline", metavar="FILE", help="write all candidates as known and go on"
    )
    parser.add_argument(
        "--fail-on",
        type=_fail_on,
        default=(),
        metavar="LIST",
        help="exit status 3 for a candidate that the baseline does not have: confirmed, if a run "
        "confirms it; new, if nothing clears it",
    )
    recording.add_recording_options(parser)
    parser.add_argument("--fresh", action="store_true", help="record again what was recorded")
    recording.add_store_option(parser)
    # What stands after `--`; set by the dispatcher.
    parser.set_defaults(command=None)


def _fail_on(text: str) -> tuple[str, ...]:
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in found:
        if word not in FAILING:
            raise UsageError(f"unknown state: {word}; allowed: {', '.join(FAILING)}")
    return found


def run(arguments: argparse.Namespace) -> int:
    """Audit, print what was found."""
    from leaklab.cli.progress import shown_progress
    from leaklab.code_audit.audit import audit
    from leaklab.code_audit.baseline import write_baseline

    if arguments.pid is not None:
        raise UsageError("an audit records a command of its own: --pid; give it after --")
    if arguments.run and arguments.command:
        raise UsageError("both --run and a command; give one of them")
    if CONFIRMED in arguments.fail_on and not (arguments.run or arguments.command):
        raise UsageError(
            "--fail-on confirmed without a run: nothing confirms; add --run RUN or -- COMMAND, "
            "or ask for --fail-on new"
        )
    if NEW in arguments.fail_on and not (arguments.baseline or arguments.write_baseline):
        raise UsageError(
            "--fail-on new without --baseline: everything is new; --write-baseline FILE makes one"
        )
    with shown_progress() if arguments.command else nullcontext() as progress:
        found = audit(
            arguments.paths,
            _located(arguments),
            baseline=arguments.baseline,
            **(_to_record(arguments, progress) if arguments.command else {}),
        )
    if arguments.sarif:
        text = json.dumps(found.to_sarif(), indent=1) + "\n"
        write_named(arguments.sarif, text, "the SARIF log", "name another file with --sarif")
    if arguments.write_baseline:
        write_baseline(Path(arguments.write_baseline), found.candidates)
    print(json.dumps(found.to_json(), indent=1) if arguments.json else found)
    if arguments.command and _failed(str(found.run)):
        return 1
    failing = {CONFIRMED: found.confirmed()}
    # Without a baseline to compare with, all stand in the one that was just written.
    failing[NEW] = found.new() if arguments.baseline else ()
    return 3 if any(failing[state] for state in arguments.fail_on) else 0


def _located(arguments: argparse.Namespace) -> str | None:
    if not arguments.run:
        return None
    from leaklab.recordings.locating import locate

    return locate(arguments.run, arguments.store)


def _failed(path: str) -> bool:
    """Say how the recorded program failed, if it did."""
    from leaklab.recordings import open as open_run

    failed = recording.failure(open_run(path).meta)
    if failed:
        recording.note(f"{failed}; the run is kept: {path}")
    return bool(failed)


def _to_record(arguments: argparse.Namespace, progress: Any) -> dict[str, Any]:
    return {
        "command": arguments.command,
        "name": arguments.name,
        "variant": arguments.variant,
        "store": arguments.store,
        "fresh": arguments.fresh or recording.has_input(),
        "progress": progress or _silent,
        **recording.recording_options(arguments),
    }


def _silent(event: dict[str, Any]) -> None:
    """Take progress where nobody is to be shown any."""
