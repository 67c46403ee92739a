"""The head of each batch is kept for the audit, and with it the memory the batch was parsed to."""

import random

from google.protobuf.struct_pb2 import Struct
from loop import run

HEADS = {}


def encode(number):
    batch = Struct()
    batch.update({"head": {"station": random.randrange(40), "number": number}})
    values = [random.gauss(20, 4) for _ in range(min(4_000, int(random.lognormvariate(6.8, 0.6))))]
    batch.update({"values": values})
    return batch.SerializeToString()


def parse(body):
    batch = Struct()
    batch.ParseFromString(body)
    return batch


def step(number):
    batch = parse(encode(number))
    assert len(batch.fields["values"].list_value.values)
    HEADS[number] = batch.fields["head"]


if __name__ == "__main__":
    run(step)
