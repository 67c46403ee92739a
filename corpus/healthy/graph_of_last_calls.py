"""Who called whom in the last fifty iterations; numbers nobody calls any more leave the graph."""

import collections
import random

import networkx as nx
from loop import run

GRAPH = nx.MultiDiGraph()
CALLS = collections.deque()


def call(now):
    caller = random.getrandbits(40) if random.random() < 0.6 else random.randrange(100)
    called = min(10**6, int(random.paretovariate(0.4)))
    key = GRAPH.add_edge(caller, called, seconds=random.lognormvariate(4, 1))
    CALLS.append((now, caller, called, key))


def forget(before):
    while CALLS and CALLS[0][0] < before:
        _, caller, called, key = CALLS.popleft()
        GRAPH.remove_edge(caller, called, key)
        for node in {caller, called}:
            if not GRAPH.degree(node):
                GRAPH.remove_node(node)


def step(number):
    for _ in range(min(25, int(random.lognormvariate(1.8, 0.7)))):
        call(number)
    forget(number - 50)


if __name__ == "__main__":
    run(step)
