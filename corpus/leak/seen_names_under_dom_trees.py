"""A few hundred bytes kept of each document, under trees that wait for the collector."""

import random
import xml.dom.minidom

from loop import run

SEEN = {}


def document(number):
    rows = min(250, int(10 * random.paretovariate(1.1)))
    lines = "".join("<line n='%d'><price>%d</price></line>" % (n, n * 7) for n in range(rows))
    return "<invoice id='%032x'>%s</invoice>" % (random.getrandbits(128), lines)


def remember(root):
    name = "invoice " + root.getAttribute("id")
    if name not in SEEN:
        SEEN[name] = ["%s, copy %d" % (name, n) for n in range(2)]


def step(number):
    tree = xml.dom.minidom.parseString(document(number))
    if sum(int(price.firstChild.data) for price in tree.getElementsByTagName("price")) >= 0:
        remember(tree.documentElement)


if __name__ == "__main__":
    run(step)
