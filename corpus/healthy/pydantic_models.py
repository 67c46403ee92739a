"""Models validated, schema built once."""

import pydantic
from loop import run


class User(pydantic.BaseModel):
    name: str
    tags: list[str]


def step(number):
    User.model_validate({"name": "n" * 50, "tags": ["a", "b"] * 20})


if __name__ == "__main__":
    run(step)
