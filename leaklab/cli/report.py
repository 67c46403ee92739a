"""``leaklab report``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from leaklab.cli import recording
from leaklab.errors import LeaklabError, UsageError

if TYPE_CHECKING:
    from leaklab.results.run import Run


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "what", nargs="+", metavar="RUN|CASE", help="runs, or cases with their newest runs"
    )
    add_output_options(parser)
    recording.add_store_option(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add where pages go and what they may show."""
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="folder for the pages (default: beside the store)",
    )
    parser.add_argument(
        "--confidential",
        action="store_true",
        help="leave out source lines, arguments and output of the target, and what it calls its "
        "files, labels, tasks and threads; a name of yours (--name) stays",
    )
    parser.add_argument(
        "--pdf", action="store_true", help="a PDF beside each page (needs Chromium)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write a page for each run or case, print the paths; of a run without a verdict say why."""
    from leaklab.catalogue.model import catalogue
    from leaklab.recordings.locating import locate

    folder = output_folder(arguments)
    has_index = any(text in catalogue() for text in arguments.what)
    errors: list[LeaklabError] = []
    for text in arguments.what:
        try:
            if text in catalogue():
                runs = newest_runs(text, arguments.store, errors)
                page = case_page(text, runs, folder, arguments)
            else:
                run = _judged(locate(text, arguments.store))
                page = run_page(run, folder, arguments, is_listed=has_index)
        except LeaklabError as error:
            errors.append(error)
            continue
        print(page)
    if has_index:
        write_index(folder)
    return recording.status_of(errors)


def output_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder for the pages."""
    from leaklab.store.location import reports_folder

    if arguments.output and "://" in arguments.output:
        raise UsageError(f"pages need a local folder: {arguments.output}; copy them afterwards")
    return Path(arguments.output or reports_folder(arguments.store))


def _judged(path: str) -> Run:
    """The run in a folder. Raises LeaklabError where it cannot be judged, too."""
    from leaklab.results.overview import error_text
    from leaklab.results.run import Run
    from leaklab.store import open_run

    run = Run(open_run(path))
    try:
        run.verdict()
    except Exception as error:  # whatever its figures are: it must not hide the others
        raise LeaklabError(error_text(error, path)) from error
    return run


def newest_runs(case_id: str, store: str | None, errors: list[LeaklabError]) -> dict[str, Run]:
    """Return the newest run of each recorded variant; why one is left out goes to ``errors``."""
    from leaklab.catalogue.model import case
    from leaklab.recordings.locating import locate

    runs = {}
    for variant in case(case_id).variants:
        try:
            path = locate(f"{case_id}/{variant}", store)
        except LeaklabError:
            continue  # not recorded: the page says so
        try:
            runs[variant] = _judged(path)
        except LeaklabError as error:
            errors.append(error)
    return runs


def run_page(
    run: Run, folder: Path, arguments: argparse.Namespace, *, is_listed: bool = False
) -> Path:
    """Render the page of one run; ``is_listed``: an index is to be made that lists it."""
    from leaklab.report import render_run
    from leaklab.store.location import safe_name

    if arguments.confidential:  # before the page has a name: it may be the target's
        from leaklab.report.confidential import without_secrets

        run = without_secrets(run)
    name = safe_name(f"{run.label}-{run.meta['run_id']}".replace("/", "-"))
    page = render_run(run, folder / f"{name}.html", index="index.html" if is_listed else None)
    return _with_pdf(page, arguments)


def case_page(
    case_id: str, runs: dict[str, Run], folder: Path, arguments: argparse.Namespace
) -> Path:
    """Render the page of a case, which the index is to list."""
    from leaklab.catalogue.model import case
    from leaklab.report import render_case

    page = render_case(case(case_id), runs, folder / "cases", confidential=arguments.confidential)
    return _with_pdf(page, arguments)


def write_index(folder: Path) -> None:
    """Write the index over all pages in the folder that link to it."""
    from leaklab.report import read_entries, render_index

    render_index(read_entries(folder), folder)


def _with_pdf(page: Path, arguments: argparse.Namespace) -> Path:
    if arguments.pdf:
        from leaklab.report import to_pdf

        if to_pdf(page) is None:
            recording.note(f"no PDF of {page}: Chromium is missing; `leaklab doctor` says how")
    return page
