"""A page as PDF, printed by the browser where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from leaklab.errors import LeaklabError
from leaklab.report.pages import OTHER_FOLDER
from leaklab.scratch import Scratch
from leaklab.whole_file import write_named

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_LIMIT_SECONDS = 120
# What a whole document ends with; a browser whose disk is full says nothing and leaves a part.
_END = b"%%EOF"


def to_pdf(html_path: str | Path) -> Path | None:
    """Print a page to a PDF beside it; None where there is no browser.

    Raises LeaklabError where the browser prints no whole document, or it cannot be written.
    """
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return None
    page = Path(html_path).resolve()
    try:
        printed = _printed(browser, page)
    except (subprocess.SubprocessError, OSError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise LeaklabError(
            f"no PDF of the page: {page}; {Path(browser).name}: {why}; print it from a browser"
        ) from None
    if not printed.rstrip().endswith(_END):
        raise LeaklabError(
            f"no PDF of the page: {page}; {Path(browser).name} printed a part of it; "
            "see whether the folder for temporary files ($TMPDIR) is full"
        )
    return write_named(page.with_suffix(".pdf"), printed, "the PDF", OTHER_FOLDER)


def _printed(browser: str, page: Path) -> bytes:
    """What the browser makes of a page."""
    with Scratch("pdf") as folder:
        printed = folder / "page.pdf"
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync",
            "--disable-background-networking", "--disable-component-update",
            f"--user-data-dir={folder / 'profile'}", "--no-pdf-header-footer",
            f"--print-to-pdf={printed}", page.as_uri(),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_SECONDS)
        return printed.read_bytes()
