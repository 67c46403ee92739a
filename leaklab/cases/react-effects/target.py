"""React effects with and without cleanup, in Node with jsdom.

One iteration mounts and unmounts a component some times; the gauges hold what Node then says of
itself, after a collection of its own. Node's resident set size follows its heap badly.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

from leaklab import gauge, mark

parser = argparse.ArgumentParser(description=__doc__)
VARIANTS = (
    "listener_cleaned", "listener_left", "timer_cleaned", "timer_left",
    "websocket_cleaned", "websocket_left", "abort_cleaned", "abort_left",
)  # fmt: skip
parser.add_argument("variant", choices=VARIANTS)
parser.add_argument("--iterations", type=int, default=40)
parser.add_argument("--mounts", type=int, default=20)
parser.add_argument("--payload-bytes", type=int, default=16_000)
ARGUMENTS = parser.parse_args()

SCRIPT = Path(__file__).with_name("effects.cjs")
ENVIRONMENT = {**os.environ, "NODE_PATH": os.environ["LEAKLAB_NODE_MODULES"]}
with subprocess.Popen(
    ["node", "--expose-gc", SCRIPT, *ARGUMENTS.variant.split("_")],
    env=ENVIRONMENT,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
) as node:
    for _ in range(ARGUMENTS.iterations):
        node.stdin.write(f"{ARGUMENTS.mounts} {ARGUMENTS.payload_bytes}\n")
        node.stdin.flush()
        figures = json.loads(node.stdout.readline())
        gauge("node_heap_bytes", figures["heapBytes"])
        gauge("listeners", figures["listenerCount"])
        gauge("timers", figures["timerCount"])
        mark()
    node.stdin.close()
