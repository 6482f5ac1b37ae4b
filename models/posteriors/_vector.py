r"""VectorDistribution: a reparameterised q(z|x) whose author writes its draw and its density for vectors (…, D).

Latents of any shape are flattened inside. Parameters are tensors ``(*batch_shape, …)`` named in ``tensors``. Points
broadcast against the batch as usual: with a batch of n images, points ``(M, 1, *event_shape)`` have log-densities
``(M, n)``. For normals N(μ, Σ), :class:`VectorNormal` has the closed form

    KL(N(μ, Σ) ‖ N(m, diag s²)) = ½ Σ_d [(Σ_dd + (μ_d − m_d)²)/s_d² − 1 + log s_d²] − ½ log det Σ.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from typing import ClassVar, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Independent, Normal, constraints
from torch.distributions.kl import register_kl


class VectorDistribution(TorchDistribution):
    """Base of the distributions that posteriors in this folder return."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    has_rsample = True
    tensors: ClassVar[tuple[str, ...]] = ()

    def __init__(self, batch_shape: torch.Size, event_shape: tuple[int, ...]) -> None:
        super().__init__(batch_shape, torch.Size(event_shape), validate_args=False)

    @abstractmethod
    def draw(self, shape: torch.Size) -> Tensor:
        """Draws ``(*shape, D)``, where ``shape`` ends with the batch shape, as a function of :mod:`models.noise`."""

    @abstractmethod
    def log_density(self, z: Tensor) -> Tensor:
        """Log q of vectors ``z`` ``(…, D)`` in nats, their leading dimensions broadcast against the batch."""

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """All real events."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: object = None) -> Self:
        """The same distributions for a batch shape that the present one broadcasts to."""
        twin, batch_shape = copy.copy(self), torch.Size(batch_shape)
        for name in self.tensors:
            tensor = getattr(self, name)
            setattr(twin, name, tensor.expand(batch_shape + tensor.shape[len(self.batch_shape) :]))
        twin._batch_shape = batch_shape
        return twin

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws of shape ``sample_shape + batch_shape + event_shape``, with gradient."""
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.autocast(self._device_type, enabled=False):
            return self.draw(shape).reshape(shape + self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of ``value`` ``(…, *event_shape)`` in nats."""
        # A density summed from bf16 products would be off by whole nats, so an autocast is kept out.
        with torch.autocast(self._device_type, enabled=False):
            return self.log_density(value.flatten(value.dim() - len(self.event_shape)))

    @property
    def _device_type(self) -> str:
        return getattr(self, self.tensors[0]).device.type

    def shaped(self, vectors: Tensor) -> Tensor:
        """Vectors ``(*batch_shape, D)`` as events."""
        return vectors.reshape(self.batch_shape + self.event_shape)


class VectorNormal(VectorDistribution):
    """A normal over vectors with any covariance; ``loc`` is ``(*batch_shape, D)``."""

    loc: Tensor

    @property
    @abstractmethod
    def half_log_det(self) -> Tensor:
        """½ log det Σ, ``batch_shape``."""

    @property
    @abstractmethod
    def covariance_matrix(self) -> Tensor:
        """Σ, ``(*batch_shape, D, D)``."""

    @abstractmethod
    def squared_distance(self, difference: Tensor) -> Tensor:
        """δᵀ Σ⁻¹ δ of δ = z − μ ``(…, *batch_shape, D)``."""

    @property
    def mean(self) -> Tensor:
        """μ as events."""
        return self.shaped(self.loc)

    def log_density(self, z: Tensor) -> Tensor:
        """Log q of vectors ``(…, D)`` in nats."""
        dim = self.loc.shape[-1]
        return -0.5 * self.squared_distance(z - self.loc) - self.half_log_det - 0.5 * dim * math.log(2 * math.pi)


def solve_lower(factor: Tensor, vectors: Tensor) -> Tensor:
    """L⁻¹ v of lower triangular L ``(*batch, K, K)`` and vectors ``(…, *batch, K)``."""
    # Vectors are columns of one right-hand side per image, so that L is never repeated for them.
    columns = vectors.reshape(-1, *factor.shape[:-1]).movedim(0, -1)
    solved = torch.linalg.solve_triangular(factor, columns, upper=False)
    return solved.movedim(-1, 0).reshape(vectors.shape)


@register_kl(VectorNormal, Independent)
def _kl(q: VectorNormal, p: Independent) -> Tensor:
    if not isinstance(p.base_dist, Normal):
        raise NotImplementedError
    variance = p.base_dist.variance
    ratio = (q.variance + (q.mean - p.base_dist.mean).square()) / variance
    with torch.autocast(ratio.device.type, enabled=False):
        half_log_det = q.half_log_det
    return 0.5 * (ratio - 1 + variance.log()).flatten(-len(q.event_shape)).sum(-1) - half_log_det
