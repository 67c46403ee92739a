"""What `leaklab audit` says of popular packages, and what who read the places says of it.

    python benchmarks/audit_packages.py FOLDER [--show PACKAGE]

FOLDER is a site-packages with the packages. Of each, twenty candidates are drawn with a fixed seed
(all, where there are fewer); ``--show`` prints those of one with their surroundings, to be read.
The readings are kept in audit_readings.json, by rule, file and line of the versions read:

- ``leaks``: in ordinary use it grows without bound, or what it opens stays open
- ``caller``: it grows with what a caller registers or passes, as its documentation says; a program
  that does so for each request leaks
- ``bounded``: it cannot grow, or its number is that of the code, the configuration or the tables
- ``no leak``: the place is about something else (a default that is never changed, a short script)

Prints counts by package and by rule; a candidate without a reading is said to be unread.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from pathlib import Path

from leaklab.code_audit.find import find

PACKAGES = (
    "requests",
    "urllib3",
    "flask",
    "django",
    "celery",
    "sqlalchemy",
    "aiohttp",
    "redis",
    "scrapy",
    "apscheduler",
)
DRAWN = 20
SEED = 2026
READINGS = Path(__file__).with_name("audit_readings.json")
WORDS = ("leaks", "caller", "bounded", "no leak")


def version_of(folder, package):
    """The version of an installed package, by its metadata's folder."""
    for path in folder.glob("*.dist-info"):
        name, _, version = path.stem.partition("-")
        if re.sub(r"[-_.]+", "_", name).lower() == package:
            return version
    return ""


def drawn(folder, package):
    """All candidates of a package, and those that were drawn to be read."""
    found = find([folder / package])
    everyone = sorted(found.candidates, key=lambda each: (each.file, each.line, each.rule))
    chosen = random.Random(f"{SEED} {package}").sample(everyone, min(DRAWN, len(everyone)))
    return found, chosen


def show(chosen):
    """Print the candidates with what stands around them."""
    for each in chosen:
        lines = Path(each.file).read_text(encoding="utf-8").splitlines()
        print(f"\n== {key(each)} {each.rule} {each.file}:{each.line}: {each.message}")
        for number in range(max(each.line - 5, 1), min(each.line + 9, len(lines)) + 1):
            print(f"{number:5} {lines[number - 1]}")


def key(candidate):
    """The rule, package-relative file and line of a candidate."""
    place = candidate.file.rpartition("site-packages/")[2]
    return f"{candidate.rule} {place}:{candidate.line}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", metavar="PACKAGE")
    arguments = parser.parse_args()
    if arguments.show:
        show(drawn(arguments.folder, arguments.show)[1])
        return
    readings = json.loads(READINGS.read_text(encoding="utf-8")) if READINGS.is_file() else {}
    by_rule: dict[str, Counter[str]] = {}
    print("| package | version | lines | candidates | read | " + " | ".join(WORDS) + " | unread |")
    print("|---|---|---|---|---|" + "---|" * (len(WORDS) + 1))
    for package in PACKAGES:
        found, chosen = drawn(arguments.folder, package)
        words = Counter(readings.get(key(each), "unread") for each in chosen)
        for each in chosen:
            by_rule.setdefault(each.rule, Counter())[readings.get(key(each), "unread")] += 1
        figures = [words[word] for word in (*WORDS, "unread")]
        row = (package, version_of(arguments.folder, package), found.line_count)
        row = (*row, len(found.candidates), sum(figures[:-1]), *figures)
        print("| " + " | ".join(map(str, row)) + " |")
    print("\n| rule | read | " + " | ".join(WORDS) + " |\n|---|---|" + "---|" * len(WORDS))
    for rule, words in sorted(by_rule.items()):
        figures = [words[word] for word in WORDS]
        print(f"| {rule} | {sum(figures)} | " + " | ".join(map(str, figures)) + " |")


if __name__ == "__main__":
    main()
