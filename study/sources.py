r"""Sources of samples, compared on equal terms: each gives the same number of images, decoded the same way.

    prior                z ~ p(z)
    aggregate_train      z ~ q(z|x), x a training image
    aggregate_held_out   z ~ q(z|x), x a held-out image: a reconstruction, as training scores them
    local                z ~ N(μ(x), I), x a held-out image
    reconstruction       z = μ(x), x a held-out image: the best the decoder does
    <name of a density>  z ~ r(z), fitted after training
    held_out             real held-out images: the floor

Four rules make the terms equal. Images are likelihood means E[x|z] and not draws of p(x|z): pixel noise given z is
independent, hides every structure from a classifier, and would be compared with grey images that have none. Real images
stand on the same scale, that of E[x]: grey where binarisation is drawn (E b = x), cut where it cuts. Held-out images are
split: one part is the reference for every source, and only the others are encoded or serve as the floor, or a
reconstruction would be compared with its own original and beat the floor. And an image gives at most one draw to a
source, so that rows are independent; sources that start from held-out images start from the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from models.vae import VAE
from study.data import Binarisation, ImageData, binarised
from study.training.step import pure_pyro

CHUNK = 500
"""Latents that go through the decoder at a time."""

REFERENCE_SEED = 0
"""Seed of the split of held-out images, the same for every cell and replicate."""


class Density(Protocol):
    """A density over flattened latents, fitted after training."""

    def sample(self, num: int, generator: Generator, /) -> Tensor:
        """Independent draws [num, D]."""


class Codes(NamedTuple):
    """Posterior means and scales ``(N, *latent_shape)`` of N images."""

    loc: Tensor
    scale: Tensor

    def __getitem__(self, rows: Tensor) -> Codes:  # type: ignore[override]
        return Codes(self.loc[rows], self.scale[rows])


def realistic(data: ImageData, how: Binarisation) -> ImageData:
    """``data`` on the scale of likelihood means of a VAE whose images are binarised in this way."""
    return binarised(data, "threshold" if how == "threshold" else "none")


def reference_split(num_held_out: int) -> tuple[Tensor, Tensor]:
    """Rows of held-out images that are the reference, and rows of those that sources start from: halves, seeded."""
    order = torch.randperm(num_held_out, generator=torch.Generator().manual_seed(REFERENCE_SEED))
    reference, starts = order.tensor_split(2)
    return reference.sort().values, starts.sort().values
