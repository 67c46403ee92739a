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
    """Write a page for each run or case, print the paths."""
    from leaklab.catalogue.model import catalogue

    folder = output_folder(arguments)
    has_index = any(text in catalogue() for text in arguments.what)
    for text in arguments.what:
        if text in catalogue():
            page = case_page(text, newest_runs(text, arguments.store), folder, arguments)
        else:
            page = run_page(_open(text, arguments.store), folder, arguments, is_listed=has_index)
        print(page)
    if has_index:
        write_index(folder)
    return 0


def output_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder for the pages."""
    from leaklab.store.location import reports_folder

    if arguments.output and "://" in arguments.output:
        raise UsageError(f"pages need a local folder: {arguments.output}; copy them afterwards")
    return Path(arguments.output or reports_folder(arguments.store))


def _open(text: str, store: str | None) -> Run:
    from leaklab.recordings.locating import locate
    from leaklab.results.run import Run
    from leaklab.store import open_run

    return Run(open_run(locate(text, store)))


def newest_runs(case_id: str, store: str | None) -> dict[str, Run]:
    """Return the newest run of each recorded variant of a case."""
    from leaklab.catalogue.model import case

    runs = {}
    for variant in case(case_id).variants:
        try:
            runs[variant] = _open(f"{case_id}/{variant}", store)
        except LeaklabError:
            continue  # not recorded: the page says so
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
