"""Pages parsed into trees full of cycles, of which only the last fifty titles are kept."""

import collections
import random

import bs4
from loop import run

TITLES = collections.deque(maxlen=50)


def page(number):
    rows = min(400, int(8 * random.paretovariate(1.2)))
    items = "".join("<li><a href='/%d'>item <b>%d</b></a></li>" % (n, n) for n in range(rows))
    return "<html><head><title>Page %d</title></head><ul>%s</ul></html>" % (number, items)


def step(number):
    tree = bs4.BeautifulSoup(page(number), "html.parser")
    TITLES.append(tree.title.get_text() + " with %d links" % len(tree.find_all("a")))


if __name__ == "__main__":
    run(step)
