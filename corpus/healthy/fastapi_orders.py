"""Orders posted to an application, most of them small and a few very large."""

import asyncio
import json
import random

from fastapi import FastAPI
from loop import run
from pydantic import BaseModel


class Line(BaseModel):
    article: str
    amount: int
    note: str = ""


class Order(BaseModel):
    customer: int
    lines: list[Line]


APP = FastAPI()
LOOP = asyncio.new_event_loop()


@APP.post("/orders")
async def place(order: Order) -> dict[str, int]:
    return {"customer": order.customer, "total": sum(line.amount for line in order.lines)}


async def post(body):
    status = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        status.append(message.get("status"))

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/orders",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await APP(scope, receive, send)
    return status[0]


def step(number):
    count = min(5_000, int(10 * random.paretovariate(1.1)))
    lines = [{"article": "a-%d" % n, "amount": n % 7, "note": "n" * 30} for n in range(count)]
    body = json.dumps({"customer": number, "lines": lines}).encode()
    assert LOOP.run_until_complete(post(body)) == 200


if __name__ == "__main__":
    run(step)
    LOOP.close()
