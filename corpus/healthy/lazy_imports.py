"""Six modules imported at first use, at different times."""

import importlib

from loop import run

WHEN = {
    10: "sqlite3",
    55: "xml.dom.minidom",
    90: "email.mime.text",
    140: "decimal",
    185: "csv",
    220: "html.parser",
}


def step(number):
    if number in WHEN:
        importlib.import_module(WHEN[number])
    sum(range(1_000))


if __name__ == "__main__":
    run(step)
