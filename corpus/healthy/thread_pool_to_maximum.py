"""A thread pool grows to 16 threads."""

from concurrent.futures import ThreadPoolExecutor

from loop import run

POOL = ThreadPoolExecutor(16)


def step(number):
    list(POOL.map(len, ["a"] * min(1 + number // 10, 16)))


if __name__ == "__main__":
    run(step)
