"""A new httpx client for every piece of work, and what becomes of it afterwards."""

import gc
import ssl
import subprocess
import sys
from pathlib import Path

import httpx

from leaklab import mark
from leaklab.catalogue.harness import case_arguments

LOOPBACK = Path(__file__).parents[1] / "loopback.py"
CLIENTS = []


def generate(client, url):
    return client.get(url).json()


def kept(url, context):
    client = httpx.Client()
    CLIENTS.append(client)
    generate(client, url)


def dropped(url, context):
    generate(httpx.Client(), url)


def kept_but_closed(url, context):
    with httpx.Client() as client:
        CLIENTS.append(client)
        generate(client, url)


def closed(url, context):
    """The documented fix: a context manager closes the client's connections."""
    with httpx.Client() as client:
        generate(client, url)


def closed_shared_context(url, context):
    with httpx.Client(verify=context) as client:
        generate(client, url)


def kept_closed_shared_context(url, context):
    with httpx.Client(verify=context) as client:
        CLIENTS.append(client)
        generate(client, url)


VARIANTS = {
    "before": kept,
    "dropped_gc_on": dropped,
    "dropped_gc_off": dropped,
    "kept_but_closed": kept_but_closed,
    "documented_fix": closed,
    "kept_closed_shared_context": kept_closed_shared_context,
    "better_fix": closed_shared_context,
}


def run(arguments):
    work = VARIANTS[arguments.variant]
    server = subprocess.Popen(
        [sys.executable, "-I", LOOPBACK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with server:  # leaving closes its standard input, and it ends
        url = server.stdout.readline().strip()
        context = ssl.create_default_context()  # one trust store for all who share it
        if arguments.variant == "dropped_gc_off":
            gc.disable()
        for _ in range(arguments.iterations):
            work(url, context)
            mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
