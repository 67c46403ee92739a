"""A service that pings itself over HTTP so that its host does not put it to sleep.

One iteration is one round of pings against a server in a process of its own.
"""

import gc
import subprocess
import sys
from pathlib import Path

import requests

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

LOOPBACK = Path(__file__).parents[1] / "loopback.py"
server = subprocess.Popen(
    [sys.executable, "-I", LOOPBACK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
URL = server.stdout.readline().strip()
KEPT = []


def before():
    for endpoint in ("health", "ready", "status"):
        requests.get(f"{URL}/api/{endpoint}", timeout=15)


def documented_fix():
    response = requests.get(f"{URL}/api/health", timeout=10)
    response.close()


def session_kept():
    session = requests.Session()
    session.get(f"{URL}/api/health", timeout=10)
    KEPT.append(session)


def response_kept():
    KEPT.append(requests.get(f"{URL}/api/health", timeout=10))


def response_closed_kept():
    response = requests.get(f"{URL}/api/health", timeout=10)
    response.close()
    KEPT.append(response)


def body_kept():
    KEPT.append(requests.get(f"{URL}/bytes/{ARGUMENTS.body_bytes}", timeout=10))


def stream_kept():
    KEPT.append(requests.get(f"{URL}/api/health", timeout=10, stream=True))


def stream_closed_kept():
    response = requests.get(f"{URL}/api/health", timeout=10, stream=True)
    response.close()
    KEPT.append(response)


def errors_gc_off():
    try:
        requests.get("http://127.0.0.1:1/api/health", timeout=10)  # nothing listens there
    except requests.ConnectionError:
        pass


def better_fix():
    KEPT[:] = [*KEPT[-9:], requests.get(f"{URL}/api/health", timeout=10).status_code]


PING = globals()["before" if ARGUMENTS.variant == "gc_off" else ARGUMENTS.variant]
if ARGUMENTS.variant.endswith("gc_off"):
    gc.disable()
for _ in range(ARGUMENTS.iterations):
    PING()
    gauge("kept", len(KEPT))
    mark()
