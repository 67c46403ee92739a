"""The memory-status endpoint: what polling it costs while the cache stands still.

One iteration is one ``GET /api/memory-status``. The documented endpoint formats the whole cache
to measure it; the better one reads a running total.
"""

import psutil
from flask import Flask, jsonify

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)


def build_page(number):
    return f"{number:08d}" + "x" * (ARGUMENTS.page_bytes - 8)


MEMORY_CACHE = {number: build_page(number) for number in range(ARGUMENTS.entries)}
TOTAL_BYTES = sum(len(page) for page in MEMORY_CACHE.values())
HISTORY = []
app = Flask(__name__)


def formatted_bytes():
    text = str(MEMORY_CACHE)
    gauge("formatted_bytes", len(text))
    return len(text)


def keep_history(status):
    """A monitor that keeps every reading grows by its readings."""
    HISTORY.append(status)
    gauge("readings", len(HISTORY))


@app.get("/api/memory-status")
def memory_status():
    cache_bytes = TOTAL_BYTES if ARGUMENTS.variant == "better_fix" else formatted_bytes()
    status = {
        "cache_megabytes": cache_bytes / 2**20,
        "cache_entries": len(MEMORY_CACHE),
        "process": psutil.Process().memory_info()._asdict(),
        "system": psutil.virtual_memory()._asdict(),
    }
    if ARGUMENTS.variant == "history_kept":
        keep_history(status)
    return jsonify(status)


client = app.test_client()
for _ in range(ARGUMENTS.iterations):
    client.get("/api/memory-status")
    mark()
