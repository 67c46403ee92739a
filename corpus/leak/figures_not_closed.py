"""Charts of a report are drawn with pyplot, which keeps each figure until it is closed."""

import io
import random
import warnings

import matplotlib
from loop import run

matplotlib.use("agg")
warnings.simplefilter("ignore")

import matplotlib.pyplot as plt  # noqa: E402


def prices(count):
    return [random.lognormvariate(3, 1) for _ in range(count)]


def chart(values):
    figure = plt.figure(figsize=(1, 1), dpi=50)
    figure.add_axes((0, 0, 1, 1)).plot(values)
    picture = io.BytesIO()
    figure.savefig(picture)
    return picture.getvalue()


def step(number):
    values = prices(min(4_000, int(150 * random.paretovariate(1.1))))
    if random.random() < 0.3:
        assert chart(values)


if __name__ == "__main__":
    run(step)
