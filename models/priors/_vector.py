"""VectorPrior: a prior whose density is a program over vectors (…, D) rather than a handful of parameters."""

from __future__ import annotations

from abc import abstractmethod
from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

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
        return _OverVectors(self)

    def noise(self, num: int) -> Tensor:
        """Draws of N(0, I), ``(num, D)``, in the type and on the device of the parameters."""
        like = next(self.parameters())
        return torch.randn(num, torch.Size(self.latent_shape).numel(), dtype=like.dtype, device=like.device)


@final
class _OverVectors(TorchDistribution):
    """The distribution over the latent shape that ``prior`` describes over vectors."""

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - torch's own protocol
    has_rsample = False

    def __init__(self, prior: VectorPrior, batch_shape: tuple[int, ...] = ()) -> None:
        self.prior = prior
        super().__init__(torch.Size(batch_shape), torch.Size(prior.latent_shape), validate_args=False)

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """All real events."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None) -> _OverVectors:
        """The same distribution, independently for each element of ``batch_shape``."""
        return _OverVectors(self.prior, tuple(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of ``value`` ``(…, *event_shape)`` in nats, ``(…,)``."""
        z = value.flatten(value.dim() - len(self.event_shape))
        # Networks that make a density are part of it: in bf16 they would be off by whole nats.
        with torch.autocast(z.device.type, enabled=False):
            return self.prior.log_density(z)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws of shape ``sample_shape + batch_shape + event_shape``, without gradient."""
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.no_grad():
            return self.prior.draw(shape.numel()).reshape(shape + self.event_shape)
