"""An image editor can undo twenty-five changes, and none that were saved."""

import collections
import random

from loop import run
from PIL import Image, ImageDraw

CANVAS = Image.new("RGBA", (240, 180), "white")
HISTORY = collections.deque(maxlen=25)


def paint():
    HISTORY.append(CANVAS.copy())
    x, y = random.randrange(240), random.randrange(180)
    size = min(120, int(4 * random.paretovariate(1)))
    color = tuple(random.choices(range(256), k=3))
    ImageDraw.Draw(CANVAS).ellipse((x, y, x + size, y + size), fill=color)


def step(number):
    for _ in range(random.choice([1, 1, 1, 3])):
        paint()
    if random.random() < 0.1:
        CANVAS.paste(HISTORY.pop())
    if random.random() < 0.03:
        HISTORY.clear()


if __name__ == "__main__":
    run(step)
