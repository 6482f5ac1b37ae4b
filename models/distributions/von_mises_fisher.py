r"""Von Mises–Fisher distribution on S^{D−1}: vMF(z; μ, κ) = C_D(κ) exp(κ μᵀz), ‖μ‖ = 1, κ ≥ 0.

With the area |S| of the sphere and ℓ of :mod:`~models.distributions.polar_angle`,
−log C_D(κ) = κ + ℓ(κ) + log |S|, so that

    log vMF(z; μ, κ) = −½ κ ‖z − μ‖² − ℓ(κ) − log |S|,     KL(vMF ‖ uniform) = −κ E[1 − w] − ℓ(κ).

A draw is w μ + √(1 − w²) t with t uniform among the directions orthogonal to μ (Ulrich 1984). Here w = cos φ and φ is
the quantile of a normal draw's level: a fixed number of operations, where rejection would loop, and exact gradients in
κ. (w, √(1 − w²) t) is built around the pole ±e₁ that is farther from μ, and a Householder reflection takes that pole
to μ: the vector that defines it is then at least √2 long, and gradients in μ are bounded.
"""

from __future__ import annotations

from typing import ClassVar, override

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.kl import register_kl
from torch.nn.functional import normalize

from models import noise
from models.distributions.event import EventDistribution
from models.distributions.polar_angle import PolarAngle
from models.distributions.sphere import Sphere, UniformOnSphere, log_area


class VonMisesFisher(EventDistribution):
    """Distributions on the unit sphere of events with D ≥ 2 elements.

    loc: mean direction μ, ``(*batch_shape, *event_shape)``. Only its direction counts, and only that of values.
    concentration: κ ≥ 0, ``batch_shape``.

    Raises ValueError where D < 2.
    """

    has_rsample = True
    tensors: ClassVar[tuple[str, ...]] = ("loc", "concentration")

    def __init__(self, loc: Tensor, concentration: Tensor) -> None:
        event_shape = loc.shape[concentration.dim() :]
        if event_shape.numel() < 2:
            raise ValueError(f"a sphere needs at least 2 dimensions; got {event_shape.numel()}: raise latent_dim")
        self.loc, self.concentration = loc, concentration
        self._angle = PolarAngle(event_shape.numel(), concentration)
        super().__init__(concentration.shape, event_shape)

    @constraints.dependent_property
    def support(self) -> constraints.Constraint:
        """The unit sphere."""
        return Sphere(len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        """A_D(κ) μ, ``(*batch_shape, *event_shape)``."""
        return self.shaped((1 - self._angle.versine)[..., None] * self._direction().double()).to(self.loc.dtype)

    @property
    def variance(self) -> Tensor:
        """Marginal variances μ² Var w + (1 − μ²) E[1 − w²]/(D − 1), ``(*batch_shape, *event_shape)``."""
        along = self._angle.squared_versine - self._angle.versine.square()
        across = self._angle.squared_sine / (self.event_shape.numel() - 1)
        squared = self._direction().double().square()
        return self.shaped(squared * along[..., None] + (1 - squared) * across[..., None]).to(self.loc.dtype)

    @override
    def log_density(self, z: Tensor) -> Tensor:
        """Log-density in nats with respect to surface area, ``(…,)``, of vectors ``z`` ``(…, D)``."""
        half_square = 0.5 * (normalize(z, dim=-1) - self._direction()).square().sum(-1)
        log_normaliser = self._angle.log_normaliser.to(half_square.dtype)
        return -self.concentration * half_square - log_normaliser - log_area(z.shape[-1])

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        level = torch.special.ndtr(noise.standard_normal(shape, self.loc).double())
        angle = self._angle.quantile(level)[..., None]
        across = normalize(noise.standard_normal(torch.Size((*shape, self.event_shape.numel() - 1)), self.loc), dim=-1)
        direction = self._direction()
        pole = torch.where(direction[..., :1] > 0, -1.0, 1.0).to(direction)
        cosine, sine = angle.cos().to(direction), angle.sin().to(direction)
        before = torch.cat([pole * cosine, sine * across], -1)
        mirror = torch.cat([pole, torch.zeros_like(direction[..., 1:])], -1) - direction
        along = (mirror * before).sum(-1, keepdim=True) / mirror.square().sum(-1, keepdim=True)
        return before - 2 * along * mirror

    def kl_from_uniform(self) -> Tensor:
        """KL(this ‖ uniform on the sphere) in nats, ``batch_shape``."""
        kl = -self.concentration.double() * self._angle.versine - self._angle.log_normaliser
        return kl.to(self.loc.dtype)

    def _direction(self) -> Tensor:
        """μ as vectors, ``(*batch_shape, D)``."""
        return normalize(self.loc.flatten(len(self.batch_shape)), dim=-1)


@register_kl(VonMisesFisher, UniformOnSphere)
def _kl_von_mises_fisher_uniform(q: VonMisesFisher, p: UniformOnSphere) -> Tensor:
    return q.kl_from_uniform().expand(torch.broadcast_shapes(q.batch_shape, p.batch_shape))
