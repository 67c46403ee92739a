"""The audit's memory test: after 1000 prompts tracemalloc must count less than 10 MB.

One iteration is ten prompts to one client. The better test does not ask how much there is but
whether it still grows: the second half of the prompts against the first, after a warm-up.
"""

import tracemalloc

import httpx
from cachetools import LRUCache

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)
VARIANT = ARGUMENTS.variant
ANSWER_BYTES = (
    ARGUMENTS.large_answer_bytes
    if VARIANT in ("large_answers", "lru")
    else ARGUMENTS.small_answer_bytes
)


def transport(request):
    """Stands for the service: answers without a network."""
    return httpx.Response(200, text=request.url.params["prompt"].ljust(ANSWER_BYTES, "x"))


class Client:
    def __init__(self):
        self.http = httpx.Client(transport=httpx.MockTransport(transport))
        self.cache = LRUCache(maxsize=128) if VARIANT == "lru" else {}

    def generate(self, prompt, cache_key=None):
        if cache_key in self.cache:
            return self.cache[cache_key]
        text = self.http.get("http://model/", params={"prompt": prompt}).text
        if cache_key is not None:
            self.cache[cache_key] = text
        return text


CLIENT = Client()
CLIENTS = []
CLIENT.generate("warm-up")
tracemalloc.start()
traced_bytes = []
for iteration in range(ARGUMENTS.iterations):
    if VARIANT == "http_clients":
        CLIENTS.append(httpx.Client())  # its trust store is native memory
    else:
        for offset in range(10):
            number = 10 * iteration + offset
            key = None if VARIANT == "as_written" else f"key {number}"
            CLIENT.generate(f"test {number}", cache_key=key)
    traced_bytes.append(tracemalloc.get_traced_memory()[0])
    gauge("traced_bytes", traced_bytes[-1])
    gauge("documented_alarm", traced_bytes[-1] >= ARGUMENTS.limit_bytes)
    mark()

middle, last = traced_bytes[len(traced_bytes) // 2], traced_bytes[-1]
grown_bytes = (last - middle) / (len(traced_bytes) - len(traced_bytes) // 2)
print(f"documented test: {'fails' if last >= ARGUMENTS.limit_bytes else 'passes'} at {last} bytes")
print(f"better test: {grown_bytes:.0f} bytes an iteration in the second half")
