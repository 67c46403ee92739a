"""The documented leaks: claim, workload, expectation; recorded and checked by one call."""

from __future__ import annotations

from leaklab.cases.catalogue import Case, Claim, Variant, case, catalogue
from leaklab.cases.recording import CaseSkipped
from leaklab.cases.scoreboard import scoreboard

__all__ = ["Case", "CaseSkipped", "Claim", "Variant", "case", "catalogue", "scoreboard"]
