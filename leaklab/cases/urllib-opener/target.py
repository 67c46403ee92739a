"""An opener of urllib for each download, and what is kept of a download that failed.

One iteration is one request through an opener of its own.
"""

import gc
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)

LOOPBACK = Path(__file__).parents[1] / "loopback.py"
server = subprocess.Popen(
    [sys.executable, "-I", LOOPBACK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
URL = server.stdout.readline().strip()
KEPT = []


def build_opener():
    return urllib.request.build_opener(urllib.request.HTTPRedirectHandler())


def before():
    with build_opener().open(f"{URL}/page", timeout=5) as response:
        response.read()


def documented_fix():
    opener = build_opener()
    try:
        with opener.open(f"{URL}/page", timeout=5) as response:
            response.read()
    finally:
        opener.close()


def openers_kept():
    KEPT.append(build_opener())
    with KEPT[-1].open(f"{URL}/page", timeout=5) as response:
        response.read()


def openers_closed_kept():
    openers_kept()
    KEPT[-1].close()


def errors_kept():
    try:
        build_opener().open(f"{URL}/status/404", timeout=5)
    except urllib.error.HTTPError as error:
        KEPT.append(error)


def error_texts_kept():
    try:
        build_opener().open(f"{URL}/status/404", timeout=5)
    except urllib.error.HTTPError as error:
        KEPT[:] = [*KEPT[-9:], str(error)]
        error.close()


def better_fix():
    with SHARED_OPENER.open(f"{URL}/page", timeout=5) as response:
        response.read()


SHARED_OPENER = build_opener()
if ARGUMENTS.variant.endswith("gc_off"):
    gc.disable()
DOWNLOAD = globals()[
    {"gc_off": "before", "documented_fix_gc_off": "documented_fix"}.get(
        ARGUMENTS.variant, ARGUMENTS.variant
    )
]
for _ in range(ARGUMENTS.iterations):
    DOWNLOAD()
    gauge("kept", len(KEPT))
    mark()
