"""A Google API service built for every request, and what has to free it."""

import gc

from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build

from leaklab import mark
from leaklab.catalogue.harness import case_arguments

SERVICES = []


def build_service():
    return build("drive", "v3", credentials=AnonymousCredentials(), cache_discovery=False)


def use(service):
    return service.files().list(pageSize=10).uri


def built_per_request():
    """The checked program: built, used, out of scope."""
    use(build_service())


def closed_after_request():
    with build_service() as service:
        use(service)


def kept():
    SERVICES.append(build_service())
    use(SERVICES[-1])


def shared():
    if not SERVICES:
        SERVICES.append(build_service())
    use(SERVICES[0])


VARIANTS = {
    "control": built_per_request,
    "gc_off": built_per_request,
    "closed_gc_off": closed_after_request,
    "kept": kept,
    "better_fix": shared,
}


def run(arguments):
    request = VARIANTS[arguments.variant]
    if arguments.variant in ("gc_off", "closed_gc_off"):
        gc.disable()
    for _ in range(arguments.iterations):
        request()
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
