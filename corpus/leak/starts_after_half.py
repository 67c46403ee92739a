"""A flag switched on half way."""

from loop import run

KEPT = []


def audit(number):
    KEPT.append({"number": number, "text": "x" * 700})


def step(number):
    if number > 160:
        audit(number)


if __name__ == "__main__":
    run(step)
