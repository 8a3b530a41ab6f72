"""A report's files in its run's folder."""

from __future__ import annotations

import json
from pathlib import Path

from mintaka.artifact.whole import write_whole
from mintaka_cosim.report.html import render_html
from mintaka_cosim.report.model import Report


def write_report(report: Report, run: Path) -> None:
    """report.html and report.json, each whole or not at all."""
    texts = {"report.html": render_html(report), "report.json": json.dumps(report.to_json(), indent=2) + "\n"}
    for name, text in texts.items():
        write_whole(run / name, text.encode())
