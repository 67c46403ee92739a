"""Growth that is known and bounded: caches of the standard library and of common libraries."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from leaklab.analysis.sites import Sites


@dataclass(frozen=True)
class KnownGrower:
    """One entry of ``known_growers.toml``: which frames, why, up to how many bytes."""

    name: str
    file: str
    function: str
    ceiling_bytes: int
    reason: str
    versions: str
    link: str


@cache
def known_growers() -> tuple[KnownGrower, ...]:
    """All entries, in the order of the file: the first that matches counts."""
    text = files("leaklab.analysis").joinpath("known_growers.toml").read_text("utf-8")
    return tuple(KnownGrower(**entry) for entry in tomllib.loads(text)["known"])


def known_of_stacks(sites: Sites, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each stack the number of its known grower, -1 without one."""
    count = len(offsets) - 1
    found = np.full(count, -1, np.int64)
    owner = np.repeat(np.arange(count), np.diff(offsets))
    frame_known = _known_of_frames(sites.frames)
    hits = np.flatnonzero(frame_known[sites.flat] >= 0) if len(sites.flat) else sites.flat
    owners, first = np.unique(owner[hits], return_index=True)
    found[owners] = frame_known[sites.flat[hits[first]]]
    return found


def _known_of_frames(frames: pd.DataFrame) -> NDArray[np.int64]:
    # Thousands of frames come from hundreds of files: each name is held against a pattern once.
    file_codes, files_seen = pd.factorize(frames["file"].astype(object))
    function_codes, functions_seen = pd.factorize(frames["function"].astype(object))
    found = np.full(len(frames), -1, np.int64)
    for number, entry in reversed(list(enumerate(known_growers()))):
        matches = _matches(entry.file, files_seen)[file_codes]
        matches &= _matches(entry.function, functions_seen)[function_codes]
        found[matches] = number
    return found


def _matches(pattern: str, names: Iterable[str]) -> NDArray[np.bool_]:
    match = re.compile(fnmatch.translate(pattern)).match
    return np.array([match(str(name)) is not None for name in names], bool)
