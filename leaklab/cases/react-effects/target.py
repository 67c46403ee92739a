"""React effects with and without cleanup, in Node with jsdom.

One iteration mounts and unmounts a component some times; the gauges hold what Node then says of
itself, after a collection of its own. Node's resident set size follows its heap badly.
"""

import json
import os
import subprocess
from pathlib import Path

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

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
