"""What the plugin calls what it tells of."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from leaklab.pytest_plugin.inside.leaklab_origins import TEMPORARY, Origins
from leaklab.pytest_plugin.summary import totals_text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 leaks, 1 fine"), (1, "1 leak, 1 fine"), (3, "3 leaks, 1 fine")]
)
def test_leaks_are_counted_in_words(count: int, text: str) -> None:
    assert totals_text({"leak": count, "fine": 1}) == text


def test_a_folder_left_behind_is_not_called_a_file(tmp_path: Path) -> None:
    origins = Origins()
    origins.install()
    try:
        folder = tempfile.mkdtemp(dir=tmp_path)
        handle, file = tempfile.mkstemp(dir=tmp_path)
        os.close(handle)
        found = {one.name: one for one in origins.census().values()}
    finally:
        origins.remove()
    assert (found[folder].what, found[folder].kind) == ("temporary folder", TEMPORARY)
    assert found[file].what == TEMPORARY
