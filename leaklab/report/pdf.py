"""A page as PDF, printed by the browser where there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from leaklab.scratch import Scratch

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_LIMIT_SECONDS = 120


def to_pdf(html_path: str | Path) -> Path | None:
    """Print a page to a PDF beside it; None where there is no browser or it fails to print."""
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return None
    page = Path(html_path).resolve()
    target = page.with_suffix(".pdf")
    with Scratch("pdf") as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync",
            "--disable-background-networking", "--disable-component-update",
            f"--user-data-dir={profile}", "--no-pdf-header-footer",
            f"--print-to-pdf={target}", page.as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_LIMIT_SECONDS)
        except (subprocess.SubprocessError, OSError):
            return None
    return target if target.exists() else None
