"""A task's node goes when it is finished, and comes back when a later task names it."""

import heapq
import random

import networkx as nx
from loop import run

GRAPH = nx.DiGraph()
ENDS = []
NAMES = [0]


def link(task, needed):
    GRAPH.add_edge(needed, task, kind="needs")
    GRAPH.nodes[needed]["last"] = "needed by %012x" % task


def submit(now):
    task = random.getrandbits(48)
    for needed in random.sample(NAMES, min(len(NAMES), random.randint(1, 4))):
        link(task, needed)
    NAMES.append(task)
    del NAMES[:-120]
    heapq.heappush(ENDS, (now + min(60, int(random.lognormvariate(2, 1))), task))


def step(number):
    for _ in range(min(9, int(random.lognormvariate(0.9, 0.7)))):
        submit(number)
    while ENDS and ENDS[0][0] <= number:
        GRAPH.remove_node(heapq.heappop(ENDS)[1])


if __name__ == "__main__":
    run(step)
