"""Several targets at the same time, and what is kept of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mintaka.artifact.whole import write_whole
from mintaka_cosim.flow import pool
from mintaka_cosim.synth.build import build_report
from mintaka_cosim.synth.model import SynthReport
from mintaka_cosim.synth.request import Request, products, target_task
from mintaka_cosim.synth.show import render_html
from mintaka_hw.plan import Plan
from mintaka_hw.verilog import Design


def synthesize_all(
    plan: Plan,
    design: Design,
    requests: Sequence[Request],
    refused: Mapping[str, str],
    jobs: int,
    listen: Callable[[pool.Event], None],
) -> tuple[dict[str, str], SynthReport]:
    """What went wrong by target, in one sentence each, and the report.

    refused : targets that are not to be tried, with their sentences. jobs : targets at a time. listen : as for
    `run_tasks`.
    """
    tasks = [target_task(request) for request in requests if request.target not in refused]
    failed = {**refused, **pool.run_tasks(tasks, jobs, listen)}
    return failed, build_report(plan, design, requests, failed)


def save_report(report: SynthReport, requests: Sequence[Request], failed: Mapping[str, str], out: Path) -> None:
    """report.json, report.html, and a folder per target with what the tools wrote; nothing where all have failed."""
    if len(failed) == len(requests):
        return
    for request in requests:
        if request.target not in failed:
            for name, folder in products(request).items():
                shutil.copytree(folder, out / request.target / name, dirs_exist_ok=True)
    texts = {"report.html": render_html(report), "report.json": json.dumps(report.to_json(), indent=2) + "\n"}
    for name, text in texts.items():
        write_whole(out / name, text.encode())
