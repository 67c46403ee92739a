"""Runs for a store that is not a folder here: written in a scratch folder, then handed in."""

from __future__ import annotations

import json
from pathlib import Path

from leaklab.errors import LeaklabError
from leaklab.scratch import Scratch
from leaklab.store.location import filesystem

# Object stores have no folders; making "folders" there would create a bucket that was misspelt.
_BUCKETS = ("s3://", "s3a://", "gs://", "gcs://", "az://", "abfs://")
# Where the run is to go, for whoever finds the folder of a recorder that was killed.
_ADDRESS = ".address"
_KIND = "upload"


class Upload:
    """One run on its way to ``url``. Its files are made in ``folder``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._scratch = Scratch(_KIND)
        self.folder = self._scratch.path
        (self.folder / _ADDRESS).write_text(url, encoding="utf-8")

    def send(self) -> None:
        """Copy what there is so far; raises LeaklabError when the store cannot be written."""
        _send(self.folder, self.url)

    def finish(self) -> None:
        """Hand the whole run in; when that fails it is kept, and the LeaklabError says where."""
        try:
            self.send()
        except LeaklabError as error:
            kept = self.folder.rename(
                self.folder.with_name(f"leaklab-kept-{self.folder.name[-8:]}")
            )
            self._scratch.forget()
            raise LeaklabError(f"{error}; the run is kept in {kept}") from None
        self._scratch.close()

    def drop(self) -> None:
        """Remove the folder."""
        self._scratch.close()


def hand_in_abandoned() -> None:
    """Hand in, as they are, the runs of recorders that were killed; one that fails stays."""
    for scratch in Scratch.abandoned(_KIND):
        try:
            url = (scratch.path / _ADDRESS).read_text(encoding="utf-8")
            json.loads((scratch.path / "run.json").read_bytes())
        except (OSError, ValueError):
            scratch.close()  # it was killed before there was anything to keep
            continue
        try:
            _send(scratch.path, url)
        except LeaklabError:
            scratch.forget()
        else:
            scratch.close()


def _send(folder: Path, url: str) -> None:
    try:
        fs, inside = filesystem(url)
        # run.json last: once it says complete, everything it speaks of is there.
        names = {path.name for path in folder.iterdir()} - {_ADDRESS}
        if not url.startswith(_BUCKETS):
            fs.makedirs(inside, exist_ok=True)
        for name in sorted(names, key=lambda name: name == "run.json"):
            fs.put_file(str(folder / name), f"{inside}/{name}")
    except LeaklabError:
        raise
    except Exception as error:  # each fsspec back end raises errors of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LeaklabError(f"cannot write to the store: {url}; {reason}") from None
