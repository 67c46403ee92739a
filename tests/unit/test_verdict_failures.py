"""A target that failed before it had done any work leaks nothing that could be known."""

from __future__ import annotations

import pytest
import synthetic

from leaklab.verdict.failures import undecided_by
from leaklab.verdict.judge import judge
from leaklab.verdict.resources import INCONCLUSIVE, LEAK

IN_AN_IMPORT = """Traceback (most recent call last):
  File "/srv/bin/serve", line 8, in <module>
    sys.exit(main())
  File "/srv/serving.py", line 70, in main
    import app
  File "/srv/app.py", line 3, in <module>
    from library import missing
ImportError: cannot import name 'missing' from 'library'
"""
AT_WORK = """Traceback (most recent call last):
  File "/srv/app.py", line 9, in <module>
    main()
  File "/srv/app.py", line 7, in main
    raise ValueError(row)
ValueError: 7
"""


@pytest.mark.parametrize(
    ("stderr", "mark_count", "expected"),
    [
        (IN_AN_IMPORT, 0, INCONCLUSIVE),
        (AT_WORK + IN_AN_IMPORT, 0, INCONCLUSIVE),
        (IN_AN_IMPORT, 200, LEAK),
        (AT_WORK, 0, LEAK),
        (IN_AN_IMPORT + AT_WORK, 0, LEAK),
        ("1 test failed", 0, LEAK),
    ],
)
def test_a_failure_in_an_import_decides_nothing(
    stderr: str, mark_count: int, expected: str
) -> None:
    data = synthetic.run(rss=synthetic.leak(200, 20_000))
    verdict = judge(data)
    assert verdict.verdict == LEAK
    data.meta["processes"] = [{"process": 0, "mark_count": mark_count}]
    failed = {"exit_status": 1, "duration_seconds": 60.0, "stderr_tail": stderr}
    data.meta["passes"] = [{"pass": "measure", **failed}]
    (resource,) = [
        entry for entry in undecided_by(verdict.resources, data) if entry.name == "rss_bytes"
    ]
    assert resource.verdict == expected
