"""Account: what each stage of one `latent-study run` took, in this process; ``whole_study.py`` starts it.

    python -m tests.benchmarks.account STUDY.yaml FOLDER BEGAN FILE

BEGAN is when the process was started, in seconds since the epoch, so that what it imports before its clocks run is
counted. The stages go to FILE, as JSON, with the wall and processor time of the process until then.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.stages import Spent, Stages, family, processor_seconds


def stages_of(study: Path, results: Path, began: float | None = None, *, memory: bool = False) -> dict[str, Spent]:
    """The stages of a study that is computed in this process, by one worker.

    study: its file.
    results: folder that its own goes into.
    began: when this process was started, where what it did before is to be counted as import.
    memory: whether the peak memory of each stage is measured.
    """
    from study.cli import main as command

    stages = Stages(memory=memory)
    if began is not None:
        stages.spent["import"] = Spent(time.time() - began, processor_seconds())
    with stages.studying(family):
        status = command(["run", str(study), "--results", str(results), "--workers", "1"])
    stages.charge()
    if status != 0:
        raise SystemExit(f"latent-study run {study} ended with status {status}")
    return stages.spent


if __name__ == "__main__":
    study, folder, began, file = sys.argv[1:]
    spent = stages_of(Path(study), Path(folder), float(began))
    ended = {"wall": time.time() - float(began), "cpu": processor_seconds()}
    record = {"stages": {stage: asdict(each) for stage, each in spent.items()}} | ended
    Path(file).write_text(json.dumps(record), "utf-8")
