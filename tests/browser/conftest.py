"""One headless browser for the tests that look at pages from disk."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # To start a renderer takes longer than most pages do.
    "--process-per-site",
    "--renderer-process-limit=1",
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running chromium (one at a time in a process); skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no chromium on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Looked:
    """A page opened from disk, with what it said and what it asked for."""

    def __init__(self, context: Any, width: int = 1100, scheme: str = "light") -> None:
        self.page = context.new_page()
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=scheme)
        self.problems: list[str] = []
        self.foreign: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on(
            "console",
            lambda line: self.problems.append(line.text) if line.type == "error" else None,
        )
        self.page.on("request", lambda request: self._asked(request.url))

    def _asked(self, address: str) -> None:
        if not address.startswith(("file:", "data:", "blob:", "about:")):
            self.foreign.append(address)

    def open(self, path: Any) -> Any:
        self.page.goto(path.as_uri())
        return self.page

    def tree(self) -> Any:
        """The frame of the interactive tree, once it is ready."""
        self.page.locator("iframe").first.scroll_into_view_if_needed()
        frame = self.page.locator("iframe").first.element_handle().content_frame()
        frame.wait_for_selector("html[data-ready]", timeout=20_000)
        return frame


@pytest.fixture(scope="module")
def context(chromium: Any) -> Iterator[Any]:
    """What the pages share, and with it their renderer."""
    context = chromium.new_context(accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def look(context: Any) -> Iterator[Any]:
    """``look(path, width=…, scheme=…)`` opens a page and returns what watches it."""
    opened: list[Looked] = []

    def open_page(path: Any, **options: Any) -> Looked:
        opened.append(Looked(context, **options))
        opened[-1].open(path)
        return opened[-1]

    yield open_page
    for looked in opened:
        looked.page.close()
        assert looked.problems == []
        assert looked.foreign == []
