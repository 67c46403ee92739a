"""Failed logins remembered per client address, on a simulated clock.

One iteration is one batch of new visitors, each with an address of its own (as a crawler, a
botnet or a forged X-Forwarded-For header brings them), and one login of each that fails.
"""

from collections import defaultdict, deque

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

MAX_TRACKED_IPS = 1_000
CLEANUP_INTERVAL_SECONDS = 3_600
WINDOW_SECONDS = 900
MAX_ATTEMPTS = 5

ARGUMENTS = case_arguments(__file__)
CLEANS_UP = ARGUMENTS.variant in ("documented_fix", "forged_header", "hours")


class Attempts:
    """As documented: a defaultdict, so that asking about a visitor already remembers them."""

    def __init__(self):
        self.by_address = defaultdict(list)
        self.last_cleanup = 0.0

    def is_blocked(self, address, now):
        recent = [moment for moment in self.by_address[address] if now - moment < WINDOW_SECONDS]
        self.by_address[address] = recent
        return len(recent) >= MAX_ATTEMPTS

    def record_failure(self, address, now):
        self.by_address[address].append(now)
        if CLEANS_UP and now - self.last_cleanup > CLEANUP_INTERVAL_SECONDS:
            self.cleanup(now)

    def cleanup(self, now):
        self.last_cleanup = now
        for address in [key for key, moments in self.by_address.items() if not moments]:
            del self.by_address[address]
        for address in list(self.by_address)[: max(0, len(self.by_address) - MAX_TRACKED_IPS)]:
            del self.by_address[address]


class BoundedAttempts(Attempts):
    """Bounded when an address comes in; a question remembers nothing."""

    def __init__(self):
        self.by_address = {}

    def is_blocked(self, address, now):
        moments = self.by_address.get(address, ())
        return sum(now - moment < WINDOW_SECONDS for moment in moments) >= MAX_ATTEMPTS

    def record_failure(self, address, now):
        address = address[:64]
        if address not in self.by_address and len(self.by_address) >= MAX_TRACKED_IPS:
            del self.by_address[next(iter(self.by_address))]
        self.by_address.setdefault(address, deque(maxlen=MAX_ATTEMPTS)).append(now)


def client_address(number):
    """The first entry of X-Forwarded-For: the client writes it."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    if ARGUMENTS.variant == "forged_header":
        return address + "x" * (ARGUMENTS.header_bytes - len(address))
    return address


def login(number, now):
    address = client_address(number)
    if not ATTEMPTS.is_blocked(address, now) and ARGUMENTS.variant != "visits":
        ATTEMPTS.record_failure(address, now)


ATTEMPTS = BoundedAttempts() if ARGUMENTS.variant == "better_fix" else Attempts()
SECONDS_PER_ITERATION = 360.0 if ARGUMENTS.variant == "hours" else 10.0
for iteration in range(ARGUMENTS.iterations):
    for visitor in range(ARGUMENTS.visitors):
        login(iteration * ARGUMENTS.visitors + visitor, iteration * SECONDS_PER_ITERATION)
    gauge("tracked_addresses", len(ATTEMPTS.by_address))
    mark()
