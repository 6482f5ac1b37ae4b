r"""Sphere: S^{D−1} = {z : ‖z‖ = 1}, its area 2 π^{D/2} / Γ(D/2), and the uniform distribution on it.

An event of any shape is read as the vector of its D elements. S^0, two points, is left out: D is at least 2.
"""

from __future__ import annotations

import copy
import math
from typing import override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import normalize

from models import noise


class Sphere(constraints.Constraint):
    """Unit Euclidean norm over the last ``event_dim`` dimensions, within ten roundings per root of the dimension."""

    def __init__(self, event_dim: int) -> None:
        self.event_dim = event_dim
        super().__init__()

    @override
    def check(self, value: Tensor) -> Tensor:
        vectors = value.flatten(value.dim() - self.event_dim)
        tolerance = 10 * torch.finfo(value.dtype).eps * math.sqrt(vectors.shape[-1])
        return (torch.linalg.vector_norm(vectors, dim=-1) - 1).abs() < tolerance


def log_area(dim: int) -> float:
    """Log of the surface area of S^{``dim`` − 1}: log 2π for the circle, log 4π for the sphere in three dimensions."""
    return math.log(2) + 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim)


class UniformOnSphere(TorchDistribution):
    """The uniform distribution over events like ``like``, which lends its shape, type and device."""

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - torch's own protocol
    has_rsample = True

    def __init__(self, like: Tensor) -> None:
        if like.numel() < 2:
            raise ValueError(f"a sphere needs at least 2 dimensions; got {like.numel()}: raise latent_dim")
        self._like = like
        super().__init__(torch.Size(), like.shape, validate_args=False)

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """The unit sphere."""
        return Sphere(len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        """The centre, which is not on the sphere: zeros ``batch_shape + event_shape``."""
        return self._like.new_zeros(self.batch_shape + self.event_shape)

    @property
    def variance(self) -> Tensor:
        """1/D for every element, ``batch_shape + event_shape``."""
        return torch.full_like(self.mean, 1 / self.event_shape.numel())

    @override
    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None
    ) -> UniformOnSphere:
        twin = copy.copy(self)
        twin._batch_shape = torch.Size(batch_shape)
        return twin

    @override
    def log_prob(self, value: Tensor) -> Tensor:
        """Minus the log-area for every ``value`` ``(…, *event_shape)``, in nats, ``(…,)``."""
        shape = value.shape[: value.dim() - len(self.event_shape)]
        return value.new_full(torch.broadcast_shapes(shape, self.batch_shape), -log_area(self.event_shape.numel()))

    @override
    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Directions of normal draws, ``sample_shape + batch_shape + event_shape``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        draws = noise.standard_normal(shape, self._like)
        return normalize(draws.flatten(len(shape) - len(self.event_shape)), dim=-1).reshape(shape)
