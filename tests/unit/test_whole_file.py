"""What leaklab writes for its user is written whole or not at all, and says why it is not."""

import resource
import shutil
from contextlib import contextmanager

import pytest

from leaklab import report
from leaklab.code_audit.baseline import write_baseline
from leaklab.errors import LeaklabError
from leaklab.report.pages import write_page
from leaklab.whole_file import replace_whole


@contextmanager
def full_disk():
    """Files of this process may not grow, as on a disk that is full."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_a_page_that_cannot_be_written_is_one_line_with_the_way_out(tmp_path):
    (tmp_path / "a file").write_text("")
    with pytest.raises(LeaklabError, match=r"^cannot write the page: .*; name another folder with"):
        write_page(tmp_path / "a file" / "page.html", "text")
    # Neither can what was begun be removed: the error that is told is the first.
    with pytest.raises(LeaklabError, match="File name too long"):
        write_page(tmp_path / ("n" * 252), "text")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_page(path, "a longer text"),
        lambda path: write_baseline(path, ()),
    ],
    ids=["page", "baseline"],
)
def test_on_a_full_disk_what_was_there_stays(tmp_path, write):
    there = tmp_path / "there"
    there.write_text("was there")
    with full_disk(), pytest.raises(LeaklabError, match=f"{there}; File too large; name another"):
        write(there)
    assert there.read_text() == "was there"
    assert list(tmp_path.iterdir()) == [there]


def test_the_file_behind_a_link_is_written_with_its_own_mode(tmp_path):
    behind, link = tmp_path / "behind", tmp_path / "link"
    behind.write_text("")
    behind.chmod(0o640)
    link.symlink_to(behind)
    replace_whole(link, "new")
    assert link.is_symlink()
    assert behind.read_text() == "new"
    assert behind.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("end", "is_whole"), [("%%EOF", True), ("1 0 obj", False)])
def test_a_pdf_that_was_cut_is_none(tmp_path, monkeypatch, end, is_whole):
    browser = tmp_path / "chromium"
    browser.write_text(
        "#!/bin/sh\nfor word; do case $word in --print-to-pdf=*) "
        f'echo "%PDF-1.4 {end}" > "${{word#*=}}";; esac; done\n'
    )
    browser.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(browser))
    page = tmp_path / "page.html"
    page.write_text("<p>")
    if is_whole:
        assert report.to_pdf(page) == page.with_suffix(".pdf")
    else:
        with pytest.raises(LeaklabError, match=r"no PDF of the page: .* printed a part of it; see"):
            report.to_pdf(page)
    assert page.with_suffix(".pdf").exists() == is_whole
