"""Code differences between variants, highlighted."""

from __future__ import annotations

from typing import Any

from leaklab.report.pages import markup

_LIGHT, _DARK = "default", "github-dark"


def highlighted_difference(unified: str) -> Any:
    """A unified difference as markup: Python highlighted, added and removed lines coloured.

    Every line keeps its sign, so that it can be read without colours too.
    """
    from markupsafe import escape

    lines = []
    for line in unified.splitlines():
        if line.startswith(("---", "+++")):
            continue
        if line.startswith("@@"):
            lines.append(f'<span class="where">{escape(line)}</span>')
            continue
        kind = {"+": "plus", "-": "minus"}.get(line[:1], "same")
        sign = "−" if kind == "minus" else line[:1] or " "
        lines.append(f'<span class="{kind}">{sign} {_python(line[1:])}</span>')
    return markup("".join(lines))


def highlighted_source(source: str, language: str = "python") -> Any:
    """Source text as markup, in a code block."""
    return markup(f"<pre><code>{_tokens(source, language)}</code></pre>")


def code_css() -> Any:
    """Colours of highlighted code, for light and dark."""
    from pygments.formatters import HtmlFormatter

    light = HtmlFormatter(style=_LIGHT).get_style_defs(["pre"])
    dark = HtmlFormatter(style=_DARK).get_style_defs(["pre"])
    keep = [line for line in light.splitlines() if line.startswith("pre .")]
    keep_dark = [line for line in dark.splitlines() if line.startswith("pre .")]
    dark_rules = ["@media screen and (prefers-color-scheme: dark) {", *keep_dark, "}"]
    return markup("\n".join([*keep, *dark_rules]))


def _python(line: str) -> str:
    return _tokens(line, "python").rstrip("\n")


def _tokens(source: str, language: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text", stripnl=False, ensurenl=False)
    text: str = highlight(source, lexer, HtmlFormatter(nowrap=True))
    return text
