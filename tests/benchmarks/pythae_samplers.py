"""pythae's samplers on given codes: run by ``whole_study.py --peers`` in an environment of its own.

    python pythae_samplers.py CODES.npz '[{"sampler": …, "config": {…}, "training": {…}}, …]' DRAWS

prints a list, as JSON, of the processor seconds of each: ``fit``, and ``draws`` of so many samples. ``sampler`` is the
name of a class of ``pythae.samplers``, ``config`` has the options of its configuration, and ``training`` those of
pythae's trainer, null where it has none.

CODES.npz has the codes ``train`` ``(N, D)`` and ``choice`` ``(M, D)``, by which pythae keeps the best epoch. A sampler
takes codes from images by the encoder of a model. Here an image is the number of a row, D times, the encoder looks the
row up with a variance that leaves it as it is, and the decoder gives its codes back, so that every second is pythae's:
its loaders, its trainer with its bars of progress, its copies of the best model, saved and loaded at the end. What is
logged is left out, and so are imports and a first fit of each sampler to a few of the codes.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import tempfile
import time
from typing import Any

import numpy as np
import torch
from pythae import samplers
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainerConfig
from torch import Tensor

LOG_VARIANCE = -100.0
"""Of the posteriors: in float32 a draw is the mean."""
FEW = 300
"""Codes of the first fit, which is not counted."""


class Lookup(BaseEncoder):
    """Encoder of images that are numbers of rows.

    table: codes ``(rows, D)``.
    """

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, x: Tensor) -> ModelOutput:
        loc = self.table[x[:, 0].long()]
        return ModelOutput(embedding=loc, log_covariance=torch.full_like(loc, LOG_VARIANCE))


class Identity(BaseDecoder):
    """Decoder whose images are the codes."""

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=z)


def timed(entry: dict[str, Any], train: Tensor, choice: Tensor, draws: int) -> dict[str, float]:
    """Processor seconds of one sampler.

    entry: its name, its configuration and that of its training.
    train: codes that it is fitted to.
    choice: codes by which the best epoch is kept.
    draws: samples that are drawn in the end.
    """
    rows = torch.arange(len(train) + len(choice), dtype=torch.float32)
    images = rows[:, None].repeat(1, train.shape[1])
    config = VAEConfig(input_dim=(train.shape[1],), latent_dim=train.shape[1])
    model = VAE(config, encoder=Lookup(torch.cat([train, choice])), decoder=Identity())
    with tempfile.TemporaryDirectory() as folder:
        more: dict[str, Any] = {}
        if entry["training"] is not None:
            training = BaseTrainerConfig(output_dir=folder, no_cuda=True, **entry["training"])
            more = {"eval_data": images[len(train) :], "training_config": training}
        start = time.process_time()
        options = getattr(samplers, f"{entry['sampler']}Config")(**entry["config"])
        sampler = getattr(samplers, entry["sampler"])(model, options)
        sampler.fit(images[: len(train)], **more)
        fitted = time.process_time()
        drawn = sampler.sample(draws)
        ended = time.process_time()
    if drawn.shape != (draws, train.shape[1]):
        raise RuntimeError(f"expected {draws} samples of {train.shape[1]} dimensions; got {tuple(drawn.shape)}")
    return {"fit": fitted - start, "draws": ended - fitted}


def brief(entry: dict[str, Any]) -> dict[str, Any]:
    """The same sampler with the least work.

    entry: as :func:`timed` takes it.
    """
    training = entry["training"] and entry["training"] | {"num_epochs": 1}
    few = {"n_components": 1} if "n_components" in entry["config"] else {}
    return entry | {"config": entry["config"] | few, "training": training}


def main(codes: str, entries: list[dict[str, Any]], draws: int) -> None:
    logging.disable(logging.INFO)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (scikit-learn's mixtures start from it where no seed is given)
    with np.load(codes) as parts:
        train, choice = torch.from_numpy(parts["train"]), torch.from_numpy(parts["choice"])
    with contextlib.redirect_stdout(io.StringIO()):
        for entry in {entry["sampler"]: entry for entry in entries}.values():
            timed(brief(entry), train[:FEW], choice[:FEW], draws=2)
        seconds = [timed(entry, train, choice, draws) for entry in entries]
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]))
