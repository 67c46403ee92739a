"""The audit's connection pool exhaustion test: a hundred clients that are not closed.

One iteration makes one client. The test as written sends nothing, so that no socket is opened.
"""

import resource
import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

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
