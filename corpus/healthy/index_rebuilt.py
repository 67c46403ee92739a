"""A search index takes changes as they come and is rebuilt beside the old one now and then."""

import collections
import random

from loop import run

WORDS = ["word-%d" % n for n in range(2_000)]
DOCUMENTS = collections.deque(maxlen=400)
INDEX = {}


def add(index, document):
    number, words = document
    for word in words:
        index.setdefault(word, []).append(number)


def rebuild():
    global INDEX
    fresh = {}
    for document in DOCUMENTS:
        add(fresh, document)
    INDEX = fresh


def step(number):
    for n in range(4):
        document = (number * 4 + n, random.choices(WORDS, k=random.randint(10, 50)))
        DOCUMENTS.append(document)
        add(INDEX, document)
    if number % 20 == 19:
        rebuild()
    INDEX.get(random.choice(WORDS))


if __name__ == "__main__":
    run(step)
