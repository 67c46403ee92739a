"""The worker grows, its parent does not."""

import multiprocessing

from loop import mark, run


def serve(requests, answers):
    kept = []
    while (number := requests.get()) is not None:
        kept.append(work(number))
        mark()
        answers.put(number)


def work(number):
    return "x" * 20_000 + str(number)


CONTEXT = multiprocessing.get_context("fork")
REQUESTS, ANSWERS = CONTEXT.SimpleQueue(), CONTEXT.SimpleQueue()
WORKER = CONTEXT.Process(target=serve, args=(REQUESTS, ANSWERS), daemon=True)
WORKER.start()


def step(number):
    REQUESTS.put(number)
    ANSWERS.get()


if __name__ == "__main__":
    run(step, iterations=200)
