"""Uploads wait in spool files, the large ones on disk, until their form is sent or given up."""

import random
import tempfile

from loop import run

FORMS = []


def upload(now):
    file = tempfile.SpooledTemporaryFile(max_size=3_000)
    file.write(bytes(min(40_000, int(random.lognormvariate(7.5, 1)))))
    FORMS.append((now + min(45, 1 + int(random.lognormvariate(2.2, 1))), file))


def step(number):
    if random.random() < 0.4:
        for _ in range(min(6, int(random.paretovariate(1.2)))):
            upload(number)
    for form in list(FORMS):
        if form[0] <= number:
            form[1].close()
            FORMS.remove(form)


if __name__ == "__main__":
    run(step)
