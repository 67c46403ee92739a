"""The audit's connection pool exhaustion test: a hundred clients that are not closed.

One iteration makes one client. The test as written sends nothing, so that no socket is opened.
"""

import argparse
import resource
import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from leaklab import gauge, mark

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("variant", choices=["as_written", "with_request", "limited", "better_test"])
parser.add_argument("--iterations", type=int, default=100)
parser.add_argument("--spare-files", type=int, default=40)
ARGUMENTS = parser.parse_args()

LOOPBACK = Path(__file__).parents[1] / "loopback.py"
server = subprocess.Popen(
    [sys.executable, "-I", LOOPBACK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
URL = server.stdout.readline().strip()
# One trust store for all: the case is about descriptors, http-clients is about memory.
CONTEXT = ssl.create_default_context()
CLIENTS = []


def open_file_count():
    return len(list(Path("/proc/self/fd").iterdir()))


def create_client():
    client = httpx.Client(base_url=URL, verify=CONTEXT)
    CLIENTS.append(client)
    return client


def use_client():
    create_client().get("/generate")


def use_and_close_client():
    with httpx.Client(base_url=URL, verify=CONTEXT) as client:
        client.get("/generate")


USE = {"as_written": create_client, "better_test": use_and_close_client}.get(
    ARGUMENTS.variant, use_client
)
httpx.get(URL, verify=CONTEXT)  # imports and codecs: not the test's business
SOFT_LIMIT, HARD_LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)
TEST_LIMIT = open_file_count() + ARGUMENTS.spare_files

for _ in range(ARGUMENTS.iterations):
    refused = False
    if ARGUMENTS.variant == "limited":
        resource.setrlimit(resource.RLIMIT_NOFILE, (TEST_LIMIT, HARD_LIMIT))
    try:
        USE()
    except httpx.ConnectError:  # too many open files
        refused = True
    # What records this run needs descriptors of its own: the limit is for the client alone.
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT_LIMIT, HARD_LIMIT))
    gauge("clients", len(CLIENTS))
    gauge("refused", refused)
    mark()
for client in CLIENTS:
    client.close()
