"""Stand-ins for run_cell that workers of a cluster can import, in whatever process they are."""

import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import xarray as xr

from study.errors import DataError, TrainingFailed
from study.run.progress import Progress

NAN, KILLED, KILLED_ONCE = 13, 16, 18
STEPS = 5


def run(cell, workspace, *, device, data_root, report, pause=0.0):
    with (workspace.parent.parent / "calls").open("a") as calls:
        calls.write(f"{cell.latent_dim} {os.getpid()}\n")
    match cell.latent_dim:
        case 13:
            raise TrainingFailed(3, "rate")
        case 16:
            os.kill(os.getpid(), signal.SIGKILL)
        case 18 if not (workspace / "killed").exists():
            (workspace / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    checkpoint = workspace / "step"
    first = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for step in range(first, STEPS):
        try:
            for _ in range(10):
                report(Progress("training", step, STEPS, loss=1.0))
                time.sleep(pause / 10)
        except KeyboardInterrupt:
            checkpoint.write_text(str(step))
            raise
    rate = np.random.Generator(np.random.PCG64(cell.latent_dim)).normal(size=(2, 4))
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"rate": (("chain", "draw"), rate)})})
    return SimpleNamespace(tree=tree, weights={"w": rate.astype(np.float32)}, details={"started_at_step": first})


def slow(*args, **kwargs):
    return run(*args, **kwargs, pause=1.0)


def other_images(cell, images, data_root):
    raise DataError("the images are others")


def deaf(cell, workspace, *, report, **_):
    """Reports once and then never again: whoever hears of it knows that it will not heed a request to stop."""
    report(Progress("training", STEPS, STEPS))
    time.sleep(60)
