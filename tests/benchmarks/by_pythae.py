"""By pythae: the fits of densities of a study here, and pythae's samplers on the same codes, in processor seconds.

    uv run python -m tests.benchmarks.whole_study remedies --peers

- gaussian_mixture: ``GaussianMixtureSampler`` for each number of components that the codes support here; scikit-learn's
  mixture of one start, always with full covariances. Here the mixtures are scored on training and held-out codes, too,
  to choose among them. For covariances of one kind, iteration by iteration, see ``mixture_em.py``.
- second_stage: ``TwoStageVAESampler`` with layers of the same width and number, ReLU for SiLU; of as many latents as
  codes have dimensions, which are those here where the option ``latent_dim`` is no less. It adds its decoder's noise to
  what it compares with the code by half the squared distance; here the likelihood has the learned scale.
- flow: ``MAFSampler`` with as many transforms and hidden layers of the same width. Its transforms are affine, of two
  parameters a dimension. Those of a spline are many more, so that a flow of affine transforms is fitted here, too.
  ``IAFSampler``, whose densities take D turns, has no counterpart here.

pythae's trainer gets the batch size and the learning rate of the fit here and as many epochs as it took, since it does
not stop by itself; both sides look at the same held-out codes after each epoch. Codes are standardised here and not by
pythae, which first takes them from images in batches of 100. The seconds are those of fits without their scores on the
other half of the held-out codes, and of as many draws as the study judges, which are double precision here. Products of
float32 are made as in a study, see ``analysis/float32.py``, and as torch does by default on the side of pythae.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.density_fits import Codes, Density, DensityRefused
from analysis.float32 import full_float32
from study.design.parts import Part, resolve
from study.design.study import Study
from study.measurement.replicate import Replicate
from study.run.data.binarisation import binarised, realistic
from study.run.experiment import load_images
from study.run.reload import trained_vae
from study.store.store import Store
from tests.benchmarks.training_step import in_own_environment

EVALUATED = 1024
"""Codes of a batch after each epoch, as here."""
FEW = 300
"""Codes of a first fit, which is not counted."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Processor time of both sides.

    rounds: epochs of training, or mixtures, as many on both sides.
    here: of the fits here.
    pythae: of the fits by pythae.
    draws_here: of as many samples of each fit as the study judges.
    draws_pythae: of as many by pythae.
    """

    rounds: int = 0
    here: float = 0.0
    pythae: float = 0.0
    draws_here: float = 0.0
    draws_pythae: float = 0.0

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(
            self.rounds + other.rounds,
            self.here + other.here,
            self.pythae + other.pythae,
            self.draws_here + other.draws_here,
            self.draws_pythae + other.draws_pythae,
        )


@dataclass(frozen=True, slots=True)
class Task:
    """A density and the sampler of pythae that does the same work.

    label: under which it is shown.
    part: the density.
    sampler: name of the class of pythae.
    config: options of it.
    """

    label: str
    part: Part
    sampler: str
    config: dict[str, int]

    def entry(self, epochs: int) -> dict[str, Any]:
        """What ``pythae_samplers.py`` is given.

        epochs: that the fit here took.
        """
        training = None
        if "batch_size" in self.part.options:
            training = {
                "num_epochs": epochs,
                "learning_rate": self.part.options["learning_rate"],
                "per_device_train_batch_size": self.part.options["batch_size"],
                "per_device_eval_batch_size": EVALUATED,
            }
        return {"sampler": self.sampler, "config": self.config, "training": training}


def tasks(part: Part) -> Iterator[Task]:
    """The comparisons of one density, none where pythae has no counterpart.

    part: a density, as a study names it.
    """
    options = part.options
    match part.name:
        case "gaussian_mixture":
            for number in options["num_components"]:
                one = resolve("density", {"name": part.name, **options, "num_components": (number,)})
                yield Task(part.label, one, "GaussianMixtureSampler", {"n_components": number})
        case "second_stage":
            layers = {"second_stage_depth": 2, "second_layers_dim": options["hidden_width"]}
            yield Task(part.label, part, "TwoStageVAESampler", layers)
        case "flow":
            affine = resolve("density", {"name": part.name, **options, "kind": "affine"})
            width = options["hidden_width"]
            blocks = {"n_made_blocks": options["num_transforms"], "n_hidden_in_made": 2, "hidden_size": width}
            for flow in dict.fromkeys((part, affine)):
                yield Task(flow.label, flow, "MAFSampler", blocks)


def split(replicate: Replicate) -> tuple[Codes, Codes, torch.Generator]:
    """Codes that densities are fitted to, those that choose their size, and the generator, as a measurement has them.

    replicate: trained.
    """
    generator = replicate.stream("densities")
    held_out = replicate.held_out.codes.flattened()
    choice, _ = torch.randperm(len(held_out), generator=generator).tensor_split(2)
    return replicate.train.codes.flattened(), held_out.at(choice), generator


def epochs_trained(density: Density, part: Part) -> int:
    """Epochs that a fit took, those after the best of them included; 1 of a density that is not trained.

    density: fitted.
    part: as it was asked for.
    """
    if "epochs" not in density.choices:
        return 1
    return int(min(density.choices["epochs"] + part.options["patience"], part.options["max_epochs"]))


def fitted_here(part: Part, replicate: Replicate) -> tuple[Density, Seconds]:
    """A density of a replicate, and what its fit and its draws took.

    part: the density.
    replicate: trained.

    Raises DensityRefused where the codes cannot support it.
    """
    train, choice, generator = split(replicate)
    start = time.process_time()
    density = part.create().fit_vectors(train, choice, generator)
    fitted = time.process_time()
    density.sample(replicate.evaluate.samples, generator)
    ended = time.process_time()
    return density, Seconds(epochs_trained(density, part), fitted - start, draws_here=ended - fitted)


def warm_up(part: Part, replicate: Replicate) -> None:
    """A fit that is not counted, to a few of the codes.

    part: the density.
    replicate: trained.
    """
    train, choice, generator = split(replicate)
    once = {"max_epochs": 1} if "max_epochs" in part.options else {"num_components": (1,)}
    few = torch.arange(min(FEW, len(train)))
    part.definition(**part.options | once).fit_vectors(train.at(few), choice, generator).sample(2, generator)


def compared(study: Path, store: Store) -> dict[str, Seconds]:
    """Seconds of both sides by density, summed over the trained replicates of all cells.

    study: its file.
    store: its results.
    """
    total: dict[str, Seconds] = {}
    for cell in Study.load(str(study)).cells():
        wanted = [task for part in cell.evaluate.densities for task in tasks(part)]
        data = load_images(cell, None)
        fixed, grey = binarised(data, cell.binarisation), realistic(data, cell.binarisation)
        for number in range(cell.seeds if wanted else 0):
            vae = trained_vae(store, cell.key, number)
            replicate = Replicate(vae, fixed, grey, cell.evaluate, seed=cell.seed_offset + number)
            for label, seconds in of_replicate(wanted, replicate):
                total[label] = total.get(label, Seconds()) + seconds
            replicate.close()
    return total


@torch.no_grad()
def of_replicate(wanted: list[Task], replicate: Replicate) -> list[tuple[str, Seconds]]:
    """Seconds of both sides for each task that the codes of a replicate support, by the label of its density.

    wanted: the tasks.
    replicate: trained.
    """
    done: list[tuple[Task, Seconds]] = []
    with full_float32():
        for task in {task.sampler: task for task in wanted}.values():
            with suppress(DensityRefused):
                warm_up(task.part, replicate)
        for task in wanted:
            with suppress(DensityRefused):
                done.append((task, fitted_here(task.part, replicate)[1]))
    pythae = fitted_by_pythae(done, replicate) if done else []
    return [
        (task.label, here + Seconds(pythae=there["fit"], draws_pythae=there["draws"]))
        for (task, here), there in zip(done, pythae, strict=True)
    ]


def fitted_by_pythae(done: list[tuple[Task, Seconds]], replicate: Replicate) -> list[dict[str, float]]:
    """Seconds of pythae's fits and draws, in an environment of its own.

    done: what was fitted here, with its epochs.
    replicate: whose codes they are.
    """
    train, choice, _ = split(replicate)
    entries = [task.entry(seconds.rounds) for task, seconds in done]
    with tempfile.TemporaryDirectory() as folder:
        codes = Path(folder) / "codes.npz"
        np.savez(codes, train=train.z.numpy(), choice=choice.z.numpy())
        given = (str(codes), json.dumps(entries), str(replicate.evaluate.samples))
        printed = in_own_environment("pythae_samplers.py", ["pythae", "setuptools<81"], *given)
    seconds: list[dict[str, float]] = json.loads(printed.splitlines()[-1])
    return seconds


def print_peers(seconds: dict[str, Seconds]) -> None:
    """Prints the seconds of fits and of draws on both sides, and how many times as long pythae takes."""
    columns = f"{'rounds':>8}{'here s':>9}{'pythae s':>10}{'times':>7}{'here ms':>10}{'pythae ms':>11}"
    print(f"\n  {'':26}{columns}{'draws ms':>11}{'pythae ms':>11}")
    for label, each in seconds.items():
        per_round = 1_000 / each.rounds
        print(
            f"  {label:26}{each.rounds:8}{each.here:9.2f}{each.pythae:10.2f}{each.pythae / each.here:7.1f}"
            f"{each.here * per_round:10.1f}{each.pythae * per_round:11.1f}"
            f"{each.draws_here * 1_000:11.1f}{each.draws_pythae * 1_000:11.1f}",
            flush=True,
        )
    print("  rounds are epochs, or mixtures, as many on both sides; s and draws are of all fits, other ms of a round")
