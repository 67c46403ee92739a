"""The leak tests of a review as they were written, and the same questions asked of growth.

``python -m pytest notebooks/examples/test_what_tests_miss.py``. Each pair is about one client: the
first test asks how much there is, the second (``leak_check``) whether a call leaves something.
Where the two disagree, the first is wrong.
"""

import http.client
import itertools
import threading
import tracemalloc
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

LIMIT_BYTES = 10 * 1024 * 1024


class Client:
    """Answers prompts and caches the answers, ``most`` of them or all."""

    def __init__(self, answer_bytes, most=None):
        self.answer_bytes = answer_bytes
        self.most = most
        self.cache = OrderedDict()
        self.numbers = itertools.count()

    def generate(self, cached=True):
        number = next(self.numbers)
        answer = f"answer {number} ".ljust(self.answer_bytes, "x")
        if cached:
            self.cache[number] = answer
            if self.most is not None and len(self.cache) > self.most:
                self.cache.popitem(last=False)
        return answer


def as_documented(client, **how):
    """Fail when a thousand prompts leave ten megabytes or more."""
    tracemalloc.start()
    try:
        for _ in range(1000):
            client.generate(**how)
        assert tracemalloc.get_traced_memory()[0] < LIMIT_BYTES
    finally:
        tracemalloc.stop()


def test_nothing_cached_as_documented():
    as_documented(Client(8_000), cached=False)


def test_nothing_cached_with_leak_check(leak_check):
    client = Client(8_000)
    leak_check(lambda: client.generate(cached=False))


def test_small_answers_kept_as_documented():
    as_documented(Client(8_000))


def test_small_answers_kept_with_leak_check(leak_check):
    leak_check(Client(8_000).generate)


def test_bounded_cache_as_documented():
    as_documented(Client(100_000, most=128))


def test_bounded_cache_with_leak_check(leak_check):
    client = Client(100_000, most=128)
    for _ in range(128):
        client.generate()
    # Nobody counts what was there before the check: it takes a cache's size to be turned over.
    leak_check(client.generate, units=400)


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address
    server.shutdown()
    server.server_close()


def test_clients_kept_as_documented(address):
    clients = [http.client.HTTPConnection(*address) for _ in range(100)]
    # "Without proper cleanup, this would exhaust file descriptors": none has sent anything.
    for client in clients:
        client.close()


def test_clients_kept_with_leak_check(leak_check, address):
    clients = []

    def use():
        client = http.client.HTTPConnection(*address)
        client.request("GET", "/")
        client.getresponse().read()
        clients.append(client)

    leak_check(use)
