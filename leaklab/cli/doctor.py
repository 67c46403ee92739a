"""``leaklab doctor``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="as JSON, for scripts")


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each thing this machine can or cannot do."""
    from leaklab.doctor import examine

    findings = examine()
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            mark = "ok" if finding.works else "--"
            way_out = "" if finding.works or not finding.how else f"; {finding.how}"
            print(f"{mark}  {finding.subject.ljust(width)}  {finding.what}{way_out}")
    required = [finding for finding in findings if finding.required and not finding.works]
    return 1 if required else 0
