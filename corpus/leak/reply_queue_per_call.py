"""Each remote call declares a reply queue of its own with the broker and does not delete it."""

import random

import kombu
from loop import run

CHANNEL = kombu.Connection("memory://").channel()
REQUESTS = kombu.Queue("requests")(CHANNEL)
REQUESTS.declare()
PRODUCER = kombu.Producer(CHANNEL)


def serve():
    message = REQUESTS.get(no_ack=True)
    numbers = message.payload
    PRODUCER.publish(sum(numbers), routing_key=message.properties["reply_to"])


def call(numbers):
    replies = kombu.Queue("reply-%032x" % random.getrandbits(128))(CHANNEL)
    replies.declare()
    PRODUCER.publish(numbers, routing_key="requests", reply_to=replies.name)
    serve()
    return replies.get(no_ack=True).payload


def step(number):
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        numbers = random.choices(range(500), k=min(3_000, int(20 * random.paretovariate(1))))
        assert call(numbers) == sum(numbers)


if __name__ == "__main__":
    run(step)
