"""``leaklab investigate``."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.cli import recording, report
from leaklab.errors import UsageError
from leaklab.quantities import count

if TYPE_CHECKING:
    from leaklab.results.run import Run


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = "leaklab investigate [options] CASE… | --all | -- COMMAND…"
    parser.add_argument("cases", nargs="*", metavar="CASE", help="cases of the catalogue")
    parser.add_argument("--all", action="store_true", help="every case and every notebook")
    parser.add_argument("--quick", action="store_true", help="the cases' small sizes")
    parser.add_argument(
        "--jobs", type=count, default=2, metavar="N", help="with --all: at a time (default: 2)"
    )
    recording.add_parameter_option(parser, "set a parameter of the case (repeatable)")
    parser.add_argument(
        "--fresh", action="store_true", help="record again what was recorded before"
    )
    recording.add_fail_on_option(
        parser, "leak, inconclusive, unexpected: exit status 3 if a run is so"
    )
    report.add_output_options(parser)
    recording.add_recording_options(parser)
    recording.add_store_option(parser)
    # What stands after `--`; set by the dispatcher.
    parser.set_defaults(command=None)


def run(arguments: argparse.Namespace) -> int:
    """Record, judge, render."""
    chosen = [bool(arguments.cases), arguments.all, bool(arguments.command or arguments.pid)]
    if sum(chosen) != 1:
        raise UsageError(
            "nothing to investigate; name cases, or --all, or a command after --"
            if not any(chosen)
            else "several things to investigate; cases, --all and a command exclude each other"
        )
    _refuse_misplaced(arguments)
    if arguments.all:
        return _everything(arguments)
    return _cases(arguments) if arguments.cases else _command(arguments)


def _refuse_misplaced(arguments: argparse.Namespace) -> None:
    """Refuse options that would be ignored."""
    if not (arguments.command or arguments.pid):
        given = sorted(recording.recording_options(arguments))
        given += [name for name in ("name", "variant") if getattr(arguments, name)]
        if given:
            raise UsageError(f"only for a command of your own: {given[0]}; cases set it themselves")
    elif arguments.quick or arguments.parameters:
        raise UsageError("only for cases: --quick and -p; give your command its own arguments")
    if arguments.all and arguments.parameters:
        raise UsageError("only for named cases: -p; --all takes the declared sizes")


def _everything(arguments: argparse.Namespace) -> int:
    from leaklab.jobs import find_notebook, report_all

    result = report_all(
        output_dir=report.output_folder(arguments),
        notebooks=find_notebook("00-start-here").parent,
        store=arguments.store,
        quick=arguments.quick,
        parallel=arguments.jobs,
        fresh=arguments.fresh,
        progress=recording.note,
    )
    for run in result.cases.unexpected:
        recording.note(f"unexpected: {run['name']}/{run['variant']}: {'; '.join(run['unmet'])}")
    recording.note(result.cases.summary())
    print(result.index)
    return result.exit_status(arguments.fail_on)


def _cases(arguments: argparse.Namespace) -> int:
    from leaklab.catalogue.model import case
    from leaklab.catalogue.recording import CaseSkipped
    from leaklab.cli.progress import shown_progress

    given: dict[str, Any] = {}
    for name, value in arguments.parameters:
        if name in given:
            raise UsageError(f"parameter given twice: {name}; give it once")
        given[name] = value
    chosen = [case(name) for name in arguments.cases]
    for one in chosen:
        one.values(given)  # refuses before anything starts
    found: set[str] = set()
    skipped = 0
    stopped = False
    folder = report.output_folder(arguments)
    for one in chosen:
        try:
            with shown_progress() as progress:
                runs = one.record(
                    quick=arguments.quick,
                    fresh=arguments.fresh,
                    store=arguments.store,
                    progress=progress,
                    **given,
                )
        except CaseSkipped as reason:
            recording.note(str(reason))
            skipped += 1
            continue
        checked = one.check(runs)
        unmet = checked[checked["ok"] == False]  # noqa: E712 (null is no failure)
        for row in unmet.to_dict("records"):
            recording.note(
                f"unexpected: {one.id}/{row['variant']} {row['resource']}: expected "
                f"{row['expected']}, measured {row['measured']}"
            )
        found |= {run.verdict().verdict for run in runs.values()}
        found |= {"unexpected"} if len(unmet) else set()
        for run in runs.values():
            _print_summary(run)
        page = report.case_page(one.id, runs, folder, arguments)
        report.write_index(folder)
        print(f"report: {page}")
        stopped = recording.note_interruption(*runs.values())
        if stopped:
            break  # who stops one stops them all
    if skipped == len(chosen):
        return 1
    return _gate(found, stopped, arguments)


def _command(arguments: argparse.Namespace) -> int:
    from leaklab.cli.progress import shown_progress
    from leaklab.recordings import record

    recording.require_target(arguments)
    with shown_progress() as progress:
        recorded = record(
            arguments.command or [],
            name=arguments.name,
            variant=arguments.variant,
            store=arguments.store,
            fresh=arguments.fresh or recording.has_input(),
            progress=progress,
            **recording.recording_options(arguments),
        )
    if recorded.reused:
        recording.note(
            f"nothing has changed since {recorded.meta['created']}: that recording is shown; "
            "--fresh makes a new one"
        )
    from leaklab.present.text import run_text

    print(run_text(recorded), flush=True)  # there is enough to read while the report is made
    print(f"report: {_own_report(recorded, arguments)}")
    stopped = recording.note_interruption(recorded)
    failed = recording.failure(recorded.meta)
    if failed:
        recording.note(f"{failed}; the run is kept: {recorded.path}")
        return 1
    return _gate({recorded.verdict().verdict}, stopped, arguments)


def _gate(found: set[str], stopped: bool, arguments: argparse.Namespace) -> int:
    """Return the exit status: a gate that was stopped before it could find anything is not passed.

    Without one, Ctrl-C is how the recording of a service ends.
    """
    if found & set(arguments.fail_on):
        return 3
    return 1 if stopped and arguments.fail_on else 0


def _own_report(recorded: Run, arguments: argparse.Namespace) -> Path | str:
    """Render the run: the notebook for one's own script; its page where secrets must stay out."""
    folder = report.output_folder(arguments)
    if arguments.confidential or arguments.pdf:
        return report.run_page(recorded, folder, arguments)
    from leaklab.jobs import find_notebook, run_notebook
    from leaklab.store.location import safe_name

    # The notebook runs in a folder of its own.
    path = str(recorded.path)
    path = path if "://" in path else str(Path(path).resolve())
    recording.note("the report is made by a notebook; its page comes last")
    result = run_notebook(
        find_notebook("99-your-own-script"),
        {"run": path, "command": shlex.join(arguments.command or [])},
        output_dir=folder / safe_name(recorded.label.replace("/", "-")),
        store=arguments.store,
    )
    if result.error:
        recording.note(f"the notebook failed: {result.error}; it is rendered up to there")
    return result.html


def _print_summary(run: Run) -> None:
    from leaklab.present.text import headline

    print("\n".join(headline(run)))
