"""Experiment: one cell from images to its result: train the replicates, then measure each."""

from __future__ import annotations

import time
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from analysis.float32 import full_float32
from analysis.randomness import seeded, stream
from analysis.tree import build_tree
from models.objectives.elbo import kl_method
from models.pure import pure_pyro
from models.vae import VAE
from study.design.cell import Cell
from study.design.parts import Part
from study.measurement.images import ImageData
from study.measurement.measure import measure
from study.measurement.stored_images import Images
from study.run.building import new_objective, new_vae
from study.run.data.binarisation import binarised, realistic, redraw
from study.run.data.loading import load
from study.run.progress import Progress, Reporter
from study.run.training import Fit, fit
from study.run.training.batches import ImagesOf
from study.run.training.follow import follow
from study.run.training.leader import Line, leading
from study.run.training.ranks import Seat
from study.store.result import CellResult

NUM_EXAMPLES = 1_000
"""Training images that parts may look at when they are built."""


def run_cell(cell: Cell, workspace: Path, *, device: str, data_root: Path | None, report: Reporter) -> CellResult:
    """Trains and measures a cell; an unfinished training goes on where it stopped.

    cell: the configuration.
    workspace: folder of its checkpoints.
    device: ``cpu`` or ``cuda``.
    data_root: where data sets are kept; None for the usual place.
    report: where progress goes.

    Raises TrainingFailed, ProcessDied, DataError or ConfigurationError; a KeyboardInterrupt out of ``report`` leaves a
    checkpoint.
    """
    prepared, run = train(cell, workspace, device=device, data_root=data_root, report=report)
    data, fixed, vaes = prepared.data, prepared.fixed, prepared.vaes
    grey = realistic(data, cell.binarisation).to(device)
    measured = []
    began, cpu_began = time.perf_counter(), time.process_time()
    for replicate, vae in enumerate(vaes):
        heartbeat = partial(report, Progress("measuring", replicate, cell.seeds))
        heartbeat()
        seed = cell.seed_offset + replicate
        with full_float32(device):
            measured.append(measure(vae.eval(), fixed, grey, cell.evaluate, seed=seed, heartbeat=heartbeat))
    seconds = {
        "data_seconds": round(prepared.seconds, 3),
        "measurement_seconds": round(time.perf_counter() - began, 3),
        "measurement_cpu_seconds": round(time.process_time() - cpu_began, 3),
    }
    report(Progress("measuring", cell.seeds, cell.seeds))
    tree = build_tree(
        measured,
        run.curves,
        {
            "latent_dim": cell.latent_dim,
            "prior": cell.prior.name,
            "dataset": cell.dataset.name,
            "cell": cell.key,
            "device": device,
            "units": "nats",
        },
    )
    weights = {
        f"{replicate}/{name}": tensor.detach().cpu().contiguous().numpy()
        for replicate, vae in enumerate(vaes)
        for name, tensor in vae.state_dict().items()
    }
    return CellResult(tree, weights, _details(run, data, vaes[0], fixed.held_out_images[:1]) | seconds)


class Prepared(NamedTuple):
    """What a cell is trained with.

    data: its images as they are stored, on the CPU, and the ``seconds`` in which they were read.
    fixed: the images in their binarisation, on the device.
    vaes: the replicates before training, on the device.
    images: as training takes them.
    """

    data: ImageData
    seconds: float
    fixed: ImageData
    vaes: list[VAE]
    images: Images | ImagesOf


def train(
    cell: Cell, workspace: Path | None, *, device: str, data_root: Path | None, report: Reporter
) -> tuple[Prepared, Fit]:
    """Trains a cell: what it was trained with, replicates included, and the record of it.

    cell: the configuration.
    workspace: folder of its checkpoints; None: it has none.
    device: ``cpu`` or ``cuda``.
    data_root: where data sets are kept; None for the usual place.
    report: where progress goes.

    Raises as :func:`run_cell` does, and ProcessDied where one of several processes of the training is lost.
    """
    with leading(cell.train.processes, take_part, cell, device, data_root) as leader:
        prepared = _prepare(cell, device, data_root)
        run = fit(
            prepared.vaes,
            new_objective(cell),
            prepared.images,
            prepared.fixed.held_out_images,
            cell.train,
            beta=cell.beta,
            first_seed=cell.seed_offset,
            workspace=workspace,
            identity=f"{cell.key} {prepared.data.checksum}",
            report=report,
            leader=leader,
        )
    return prepared, run


def take_part(cell: Cell, device: str, data_root: Path | None, *, seat: Seat, channel: Line) -> None:
    """Trains a cell as one of several processes, not the first; its result is that of the first one.

    cell: the configuration.
    device: ``cpu`` or ``cuda``.
    data_root: where data sets are kept; None for the usual place.
    seat: the place of this process.
    channel: the line to the first process, which hears when this one is ready.
    """
    prepared = _prepare(cell, seat.device(device), data_root)
    follow(
        prepared.vaes,
        new_objective(cell),
        prepared.images,
        cell.train,
        beta=cell.beta,
        first_seed=cell.seed_offset,
        seat=seat,
        ready=partial(channel.send, seat.share.rank),
    )


def _prepare(cell: Cell, device: str, data_root: Path | None) -> Prepared:
    began = time.perf_counter()
    data = load_images(cell, data_root)
    seconds = time.perf_counter() - began
    fixed = binarised(data, cell.binarisation).to(device)
    vaes = [new_replicate(cell, data, replicate).to(device) for replicate in range(cell.seeds)]
    return Prepared(data, seconds, fixed, vaes, _training_images(cell, data.to(device), fixed))


def new_replicate(cell: Cell, data: ImageData, replicate: int) -> VAE:
    """The replicate before training: its weights follow from how the cell is trained, and its seed, alone.

    What is measured has no part in them: an estimate more or less leaves all numbers as they are.

    cell: the configuration.
    data: its images, of which parts may look at the first.
    replicate: its index; its seed is that after ``seed_offset``.
    """
    rows = torch.randperm(len(data.images), generator=stream(0, "examples"))  # data sets come sorted by class
    examples = data.images[rows[:NUM_EXAMPLES]]
    with seeded(stream(cell.seed_offset + replicate, "initial weights", cell.training_key)):
        return new_vae(cell, data.image_shape, examples)


def _training_images(cell: Cell, grey: ImageData, fixed: ImageData) -> Images | ImagesOf:
    if cell.binarisation != "dynamic":
        return fixed.images

    def drawn(replicate: int, epoch: int) -> Images:
        binary = redraw(grey.images, replicate=replicate, epoch=epoch)
        # Bytes hold {0, 1} in a quarter of the memory; a step turns only its own batch into floats.
        return binary.to(torch.uint8) if isinstance(binary, Tensor) else binary

    return drawn


def load_images(cell: Cell, data_root: Path | None) -> ImageData:
    """The cell's images as they are stored, on the CPU.

    cell: the configuration.
    data_root: where data sets are kept; None for the usual place.

    Raises DataError where they cannot be had.
    """
    return _load(cell.dataset, data_root, cell.image_size, cell.limit)


@lru_cache(maxsize=1)
def _load(dataset: Part, root: Path | None, image_size: int | None, limit: int | None) -> ImageData:
    return load(dataset.name, root=root, image_size=image_size, limit=limit, quiet=True, **dataset.options)


def _details(run: Fit, data: ImageData, vae: VAE, image: Tensor) -> dict[str, Any]:
    with torch.no_grad(), pure_pyro():
        method = kl_method(vae.posterior(image), vae.prior())
    return {
        "engine": run.choice.engine,
        "engine_reason": run.choice.reason,
        "epochs": len(run.curves["loss"]),
        "updates": run.updates,
        "training_images": len(data.images),
        "training_seconds": round(run.seconds, 3),
        "training_cpu_seconds": round(run.cpu_seconds, 3),
        "images_per_second": run.images_per_second,
        "kl_in_training": method,
        "data_checksum": data.checksum,
        "data_verification": data.verification,
        "num_parameters": sum(p.numel() for p in vae.parameters()),
    }
