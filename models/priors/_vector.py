"""VectorPrior: a prior whose density is a program over vectors (…, D) rather than a handful of parameters."""

from __future__ import annotations

from abc import abstractmethod
from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from models.distributions import EventDistribution
from models.priors._base import Prior


class VectorPrior(Prior):
    """A prior with parameters whose author writes ``log_density`` and ``draw`` for vectors; latents are flattened."""

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Log p of vectors ``z`` ``(…, D)`` in nats, ``(…,)``."""

    @abstractmethod
    def draw(self, num: int) -> Tensor:
        """Independent vectors ``(num, D)``; called without gradient."""

    @override
    def forward(self) -> TorchDistribution:
        return VectorPriorDistribution(self)

    def noise(self, num: int) -> Tensor:
        """Draws of N(0, I), ``(num, D)``, in the type and on the device of the parameters."""
        like = next(self.parameters())
        return torch.randn(num, torch.Size(self.latent_shape).numel(), dtype=like.dtype, device=like.device)


@final
class VectorPriorDistribution(EventDistribution):
    """The distribution over the latent shape that ``prior`` describes over vectors."""

    def __init__(self, prior: VectorPrior) -> None:
        self.prior = prior
        super().__init__((), prior.latent_shape)

    @property
    @override
    def like(self) -> Tensor:
        return next(self.prior.parameters())

    @override
    def log_density(self, z: Tensor) -> Tensor:
        return self.prior.log_density(z)

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        return self.prior.draw(shape.numel()).reshape(*shape, self.event_shape.numel())
