"""A text buffer written out at 64 kB."""

import io

from loop import run

BUFFER = io.StringIO()


def step(number):
    BUFFER.write("x" * 1_500)
    if BUFFER.tell() > 64_000:
        BUFFER.seek(0)
        BUFFER.truncate()


if __name__ == "__main__":
    run(step)
