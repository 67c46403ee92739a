"""Pages from templates: one file each, everything inlined, written whole or not at all."""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaklab.version import __version__
from leaklab.whole_file import write_named

if TYPE_CHECKING:
    from jinja2 import Environment

OTHER_FOLDER = "name another folder with --output (pytest: --leaks-report)"


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=PackageLoader("leaklab.report", "templates"),
        autoescape=select_autoescape(["html", "j2"], default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"prose": prose, "breakable": breakable}
    return made


def prose(text: str) -> Any:
    """Text as markup, with what stands between backticks as code."""
    from leaklab.present.table import text_html

    return markup(text_html(text))


def breakable(name: str) -> Any:
    """A name as markup that a narrow column may break where its words end."""
    from leaklab.present.table import names_html

    return markup(names_html(name))


def text_of(name: str) -> str:
    """A style sheet or script of the pages. It is ours, so it may stand in a page as it is."""
    return (resources.files("leaklab.report") / "templates" / name).read_text(encoding="utf-8")


def markup(text: str) -> Any:
    """Mark text that leaklab made itself (SVG, highlighted code) as HTML."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - never with a text of the target in it unescaped


def render(template: str, title: str, **values: Any) -> str:
    """A page as HTML text; every value is escaped unless it is markup."""
    page = _environment().get_template(template)
    return page.render(title=title, css=markup(text_of("page.css")), version=__version__, **values)


def write_page(path: str | Path, html: str) -> Path:
    """Write a page in one step, so that a reader never meets half a page; return its path."""
    return write_named(path, html, "the page", OTHER_FOLDER)
