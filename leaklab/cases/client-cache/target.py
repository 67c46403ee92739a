"""The answer cache of an AI client that the whole process shares.

One iteration is one prompt nobody has asked before.
"""

import functools
import sys
import threading

from cachetools import LRUCache

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
ANSWER_BYTES = (
    ARGUMENTS.large_answer_bytes if ARGUMENTS.variant == "large_answers" else ARGUMENTS.answer_bytes
)


def answer(prompt):
    return f"{prompt}: ".ljust(ANSWER_BYTES, "x")


class Client:
    def __init__(self, cache):
        self.cache = cache
        self.lock = threading.Lock()

    def generate(self, prompt, cache_key=None):
        if cache_key is not None and cache_key in self.cache:
            return self.cache[cache_key]
        text = answer(prompt)
        if cache_key is not None:
            self.cache[cache_key] = text
        return text

    def generate_locked(self, prompt, cache_key):
        with self.lock:
            cached = self.cache.get(cache_key)
        if cached is None:
            cached = answer(prompt)
            with self.lock:
                self.cache[cache_key] = cached
        return cached

    @functools.lru_cache(maxsize=None)  # noqa: B019 - what the case is about: the cache keeps self
    def generate_decorated(self, prompt):
        return answer(prompt)


def generate_many(client, start, failures):
    """One of several threads on one client without a lock."""
    for number in range(start, start + 60):
        try:
            client.generate(f"test {number % 97}", cache_key=number % 97)
        except (KeyError, RuntimeError) as error:
            failures.append(type(error).__name__)


def generate_in_threads(client, start):
    failures = []
    threads = [
        threading.Thread(target=generate_many, args=(client, start + 13 * number, failures))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gauge("failed_calls", len(failures))


if ARGUMENTS.variant in ("documented_fix", "large_answers"):
    CACHE = LRUCache(maxsize=ARGUMENTS.entries)
elif ARGUMENTS.variant == "better_fix":
    CACHE = LRUCache(maxsize=ARGUMENTS.limit_bytes, getsizeof=sys.getsizeof)
elif ARGUMENTS.variant == "unlocked":
    CACHE = LRUCache(maxsize=32)
    sys.setswitchinterval(1e-5)
else:
    CACHE = {}
CLIENT = Client(CACHE)

for iteration in range(ARGUMENTS.iterations):
    if ARGUMENTS.variant == "no_cache_key":
        CLIENT.generate(f"test {iteration}")
    elif ARGUMENTS.variant == "method_cache":
        Client({}).generate_decorated(f"test {iteration}")
    elif ARGUMENTS.variant == "unlocked":
        generate_in_threads(CLIENT, 60 * iteration)
    elif ARGUMENTS.variant == "better_fix":
        CLIENT.generate_locked(f"test {iteration}", cache_key=iteration)
    else:
        CLIENT.generate(f"test {iteration}", cache_key=iteration)
    gauge("cache_entries", len(CACHE))
    mark()
