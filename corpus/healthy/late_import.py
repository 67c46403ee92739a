"""One large import after half the run."""

from loop import run


def step(number):
    if number == 170:
        import asyncio

        asyncio.new_event_loop().close()
    sum(range(1_000))


if __name__ == "__main__":
    run(step)
