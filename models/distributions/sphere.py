r"""Sphere: S^{D−1} = {z : ‖z‖ = 1}, its area 2 π^{D/2} / Γ(D/2), and the uniform distribution on it.

An event of any shape is read as the vector of its D elements. S^0, two points, is left out: D is at least 2.
"""

from __future__ import annotations

import math
from typing import override

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import normalize

from models import noise
from models.distributions.event import EventDistribution


class Sphere(constraints.Constraint):
    """Unit Euclidean norm of events of ``event_dim`` dimensions, within ten roundings per root of D."""

    def __init__(self, event_dim: int) -> None:
        self.event_dim = event_dim
        super().__init__()

    @override
    def check(self, value: Tensor) -> Tensor:
        vectors = value.flatten(value.dim() - self.event_dim)
        tolerance = 10 * torch.finfo(value.dtype).eps * math.sqrt(vectors.shape[-1])
        return (torch.linalg.vector_norm(vectors, dim=-1) - 1).abs() < tolerance


def log_area(dim: int) -> float:
    """Log of the surface area of S^{D−1} for ``dim`` D: log 2π for the circle, log 4π for the sphere in ℝ³."""
    return math.log(2) + 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim)


class UniformOnSphere(EventDistribution):
    """The uniform distribution over events of the shape, type and device of ``like``, which has D ≥ 2 elements.

    Raises ValueError for fewer elements.
    """

    has_rsample = True

    def __init__(self, like: Tensor) -> None:
        if like.numel() < 2:
            raise ValueError(f"a sphere needs at least 2 dimensions; got {like.numel()}: raise latent_dim")
        self._like = like
        super().__init__((), like.shape)

    @property
    @override
    def like(self) -> Tensor:
        return self._like

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """The unit sphere."""
        return Sphere(len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        """The centre, which is not on the sphere: zeros ``(*batch_shape, *event_shape)``."""
        return self._like.new_zeros(self.batch_shape + self.event_shape)

    @property
    def variance(self) -> Tensor:
        """1/D for every element, ``(*batch_shape, *event_shape)``."""
        return torch.full_like(self.mean, 1 / self.event_shape.numel())

    @override
    def log_density(self, z: Tensor) -> Tensor:
        """Minus the log-area, in nats, whatever the vectors ``z`` ``(…, D)``."""
        return z.new_full(torch.broadcast_shapes(z.shape[:-1], self.batch_shape), -log_area(z.shape[-1]))

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        """Directions of normal draws, ``(*shape, D)``."""
        return normalize(noise.standard_normal(shape + self.event_shape, self._like).flatten(len(shape)), dim=-1)
