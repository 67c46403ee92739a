"""An audit as SARIF 2.1.0, for code hosts and editors; the state is a property of each result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from leaklab.code_audit.model import BOUNDED, CONFIRMED, REFUTED, Candidate
from leaklab.code_audit.ruff import PUBLIC
from leaklab.code_audit.rule import Rule
from leaklab.version import __version__

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(candidates: Sequence[Candidate], rules: Sequence[Rule]) -> dict[str, Any]:
    """Return the log as JSON values: one run, its rules, one result a candidate."""
    descriptors = [
        {
            "id": rule.id,
            "name": "".join(word.capitalize() for word in rule.title.replace("-", " ").split()),
            "shortDescription": {"text": rule.title},
            "fullDescription": {"text": rule.why},
            "properties": {"cases": list(rule.cases)},
        }
        for rule in rules
    ]
    descriptors += [
        {"id": code, "shortDescription": {"text": title}, "properties": {"tool": "ruff"}}
        for code, (title, _) in PUBLIC.items()
    ]
    indices = {str(each["id"]): number for number, each in enumerate(descriptors)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "leaklab audit",
                        "semanticVersion": __version__,
                        "rules": descriptors,
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, indices) for each in candidates],
            }
        ],
    }


def _result(candidate: Candidate, indices: dict[str, int]) -> dict[str, Any]:
    text = candidate.message
    if candidate.evidence:
        text = f"{text}. {candidate.state}: {candidate.evidence}"
    result: dict[str, Any] = {
        "ruleId": candidate.rule,
        "ruleIndex": indices[candidate.rule],
        "level": _level(candidate),
        "kind": _kind(candidate),
        "message": {"text": text},
        "locations": [{"physicalLocation": _location(candidate)}],
        "partialFingerprints": {"leaklab/v1": candidate.fingerprint},
        "properties": {
            "state": candidate.state,
            "evidence": candidate.evidence,
            "name": candidate.name,
            "gauges": [watch.gauge for watch in candidate.watches],
        },
    }
    if candidate.cell is not None:
        result["properties"]["cell"] = candidate.cell
    if candidate.excuse is not None and candidate.state != CONFIRMED:
        result["suppressions"] = [
            {"kind": "inSource", "justification": candidate.excuse.text or candidate.excuse.kind}
        ]
    if candidate.in_baseline:
        result["baselineState"] = "unchanged"
    return result


def _level(candidate: Candidate) -> str:
    """SARIF wants "none" for every kind but "fail"."""
    if _kind(candidate) != "fail":
        return "none"
    return "error" if candidate.state == CONFIRMED else "warning"


def _kind(candidate: Candidate) -> str:
    return "pass" if candidate.state in (BOUNDED, REFUTED) else "fail"


def _location(candidate: Candidate) -> dict[str, Any]:
    uri = quote(candidate.file)
    if candidate.file.startswith("/"):
        uri = f"file://{uri}"
    return {
        "artifactLocation": {"uri": uri},
        "region": {
            "startLine": candidate.line,
            "endLine": max(candidate.line, candidate.end_line),
            "startColumn": candidate.column,
        },
    }
