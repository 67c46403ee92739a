"""A decorator's closure collects validation errors, with their tracebacks and documents."""

import functools
import json
import random

import jsonschema
from loop import run

VALIDATOR = jsonschema.Draft202012Validator(
    {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "rows": {"type": "array", "maxItems": 400}},
        "required": ["id", "rows"],
    }
)


def collecting_errors(function):
    errors = []

    @functools.wraps(function)
    def wrapper(*arguments):
        try:
            return function(*arguments)
        except jsonschema.ValidationError as error:
            errors.append(error)
            return len(errors)

    return wrapper


def body(number):
    rows = min(400, int(30 * random.paretovariate(1.3)))
    key = "id" if random.random() > 0.15 else "identity"
    return json.dumps({key: number, "rows": [{"n": n, "x": random.random()} for n in range(rows)]})


def parse(text):
    return json.loads(text)


@collecting_errors
def accept(document):
    VALIDATOR.validate(document)
    return len(document["rows"])


def step(number):
    accept(parse(body(number)))


if __name__ == "__main__":
    run(step)
