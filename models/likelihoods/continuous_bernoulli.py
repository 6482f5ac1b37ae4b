r"""Continuous Bernoulli likelihood: the density on [0, 1] that the Bernoulli's cross-entropy of grey pixels lacks.

    p(x|z) = Π_i C(l_i) π_i^{x_i} (1 − π_i)^{1 − x_i} = Π_i exp(l_i x_i) l_i / (e^{l_i} − 1),    π = σ(l)

with logits l(z). Written about ½ it is safe at every l, at l = 0 too, where it is uniform:

    log p = Σ_i (x_i − ½) l_i − log [sinh(l_i/2) / (l_i/2)],    E x_i = ½ + ½ [coth(l_i/2) − 2/l_i].

The mean is not π: it lies nearer to ½. Near 0 both brackets are taken as power series, elsewhere as they stand.
"""

from __future__ import annotations

from typing import ClassVar, final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from models.context import Context
from models.distributions import EventDistribution
from models.likelihoods._base import Likelihood

_NEAR = 0.2
"""Half-logits below which the series are used; their first terms left out are below 2e-11 there."""


@final
class ContinuousPixels(EventDistribution):
    """Independent continuous Bernoulli variables.

    logits: l, ``(*batch, *event_shape)``.
    event_dim: number of dimensions of an event, at least 1.
    """

    tensors: ClassVar[tuple[str, ...]] = ("logits",)
    elements = constraints.unit_interval

    def __init__(self, logits: Tensor, event_dim: int) -> None:
        self.logits = logits.flatten(-event_dim)
        super().__init__(logits.shape[:-event_dim], logits.shape[-event_dim:])

    @override
    def log_density(self, z: Tensor) -> Tensor:
        return ((z - 0.5) * self.logits - _log_sinhc(self.logits / 2)).sum(-1)

    @property
    def mean(self) -> Tensor:
        """E x, ``(*batch, *event_shape)``."""
        return self.shaped(0.5 + 0.5 * _langevin(self.logits / 2))

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        level = torch.rand(shape + self.logits.shape[-1:], dtype=self.logits.dtype, device=self.logits.device)
        steepness = self.logits.abs().clamp_min(1e-6)
        falling = -(level * torch.expm1(-steepness)).log1p() / steepness
        return torch.where(self.logits > 0, 1 - falling, falling)


def _log_sinhc(y: Tensor) -> Tensor:
    """log (sinh y / y)."""
    square, size = y.square(), torch.where(y.abs() < _NEAR, 1.0, y.abs())
    near = square / 6 - square**2 / 180 + square**3 / 2835 - square**4 / 37800
    far = size + torch.log1p(-torch.exp(-2 * size)) - torch.log(2 * size)
    return torch.where(y.abs() < _NEAR, near, far)


def _langevin(y: Tensor) -> Tensor:
    """Coth y − 1/y."""
    square, size = y.square(), torch.where(y.abs() < _NEAR, 1.0, y)
    near = y * (1 / 3 - square / 45 + 2 * square**2 / 945 - square**3 / 4725)
    return torch.where(y.abs() < _NEAR, near, 1 / size.tanh() - 1 / size)


@final
class ContinuousBernoulli(Likelihood):
    """Independent continuous Bernoulli pixels, logits from the decoder; for grey images, ``binarisation=none``.

    context: shapes and network.
    """

    reference = "Loaiza-Ganem & Cunningham 2019, arXiv:1907.06845"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.decoder = context.network.decoder(context.shapes, outputs=1)

    @override
    def forward(self, latents: Tensor) -> TorchDistribution:
        (logits,) = self.decode(latents)
        return ContinuousPixels(logits, len(self.image_shape))
