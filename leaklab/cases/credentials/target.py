"""Google credentials of ever new users: read from their file at each request, or cached."""

import json
from pathlib import Path

from cachetools import TTLCache
from google.oauth2.credentials import Credentials

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

FILE = Path("credentials.json")
CACHE = {}


def load_credentials(user):
    """The checked program reads the file each time."""
    information = json.loads(FILE.read_text())
    return Credentials.from_authorized_user_info(information | {"client_id": user})


def load_each_time(user):
    return load_credentials(user)


def load_once(user):
    if user not in CACHE:
        CACHE[user] = load_credentials(user)
    return CACHE[user]


# variant: (how a request gets its credentials, the cache)
VARIANTS = {
    "control": (load_each_time, lambda arguments: {}),
    "cached_for_ever": (load_once, lambda arguments: {}),
    "better_fix": (load_once, lambda arguments: TTLCache(arguments.max_users, ttl=3600)),
}


def run(arguments):
    global CACHE
    get, make_cache = VARIANTS[arguments.variant]
    CACHE = make_cache(arguments)
    scopes = ["https://www.googleapis.com/auth/drive"]
    FILE.write_text(
        json.dumps({"refresh_token": "r" * 100, "client_secret": "s", "scopes": scopes})
    )
    for number in range(arguments.iterations):
        for request in range(arguments.requests):
            get(f"user-{number * arguments.requests + request:08d}")
        gauge("cached_users", len(CACHE))
        mark()


if __name__ == "__main__":
    run(case_arguments(__file__))
