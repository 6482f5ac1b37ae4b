r"""Normal mixture posterior: q(z|x) = Σ_k w_k(x) N(z; m_k(x), diag s_k²(x)), K components for each image.

A draw chooses k by its weight, then z = m_k + s_k ε. Along a fixed k that is differentiable, and Σ_k w_k ∂E_k is the
gradient with respect to all m and s: no more is needed for them. The weights move no draw, and get the implicit
gradient (Figurnov et al. 2018, arXiv:1805.08498; for mixtures Graves 2016, arXiv:1607.05690). The conditional
distribution functions

    F_d(z) = Σ_k π_kd Φ((z_d − m_kd)/s_kd),    π_kd ∝ w_k Π_{j<d} N(z_j; m_kj, s_kj²)

make F(z) uniform, whatever the weights; holding it fixed, ∂z/∂w = −(∂F/∂z)⁻¹ ∂F/∂w, a triangular system of D equations
for each draw. Both parts are unbiased, so their sum is; the alternative, K passes of the decoder with the loss weighted
by w, would change every objective.
"""

from __future__ import annotations

import math
from typing import ClassVar, final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.special import ndtr

from models import noise
from models.context import Context
from models.posteriors._base import UNIT, Posterior
from models.posteriors._vector import VectorDistribution

MAX_DIM = 512


@final
class VectorNormalMixture(VectorDistribution):
    """The mixture of the module docstring: logits ``(*batch, K)``, loc and scale ``(*batch, K, D)``."""

    tensors: ClassVar[tuple[str, ...]] = ("logits", "loc", "scale")

    def __init__(self, logits: Tensor, loc: Tensor, scale: Tensor, event_shape: tuple[int, ...]) -> None:
        self.logits, self.loc, self.scale = logits, loc, scale
        super().__init__(logits.shape[:-1], event_shape)

    @override
    def draw(self, shape: torch.Size) -> Tensor:
        level = ndtr(noise.standard_normal(shape, self.logits))
        component = (level[..., None] > self._weights.detach().cumsum(-1)[..., :-1]).sum(-1)
        chosen = component[..., None] == torch.arange(self.logits.shape[-1], device=component.device)
        loc, scale = ((chosen[..., None] * tensor).sum(-2) for tensor in (self.loc, self.scale))
        z = loc + scale * noise.standard_normal(shape + self.loc.shape[-1:], self.loc)
        return z - self._weight_path(z.detach())

    def _weight_path(self, z: Tensor) -> Tensor:
        """Zeros like z ``(…, D)`` with the gradient (∂F/∂z)⁻¹ ∂F/∂w."""
        scale = self.scale.detach()
        standard = (z[..., None, :] - self.loc.detach()) / scale
        log_normal = -0.5 * standard.square() - scale.log() - 0.5 * math.log(2 * math.pi)
        shares = (self.logits[..., None] + log_normal.cumsum(-1) - log_normal).softmax(-2)
        levels = ndtr(standard)
        level = (shares * levels).sum(-2)
        with torch.no_grad():
            surplus = shares * (levels - level[..., None, :])
            slopes = torch.einsum("...kd,...kj->...dj", surplus, -standard / scale).tril(-1)
            jacobian = slopes + torch.diag_embed((shares * log_normal.exp()).sum(-2))
        change = (level - level.detach())[..., None]
        return torch.linalg.solve_triangular(jacobian, change, upper=False)[..., 0]

    @override
    def log_density(self, z: Tensor) -> Tensor:
        standard = (z[..., None, :] - self.loc) / self.scale
        normaliser = self.scale.log().sum(-1) + 0.5 * self.loc.shape[-1] * math.log(2 * math.pi)
        return (self.logits.log_softmax(-1) - 0.5 * standard.square().sum(-1) - normaliser).logsumexp(-1)

    @property
    def _weights(self) -> Tensor:
        return self.logits.softmax(-1)

    @property
    def mean(self) -> Tensor:
        """Σ_k w_k m_k as events."""
        return self.shaped((self._weights[..., None] * self.loc).sum(-2))

    @property
    def variance(self) -> Tensor:
        """Marginal variances as events."""
        within = (self._weights[..., None] * self.scale.square()).sum(-2)
        return self.shaped(within + self._centred.square().sum(-2))

    @property
    def covariance_matrix(self) -> Tensor:
        """Covariance ``(*batch, D, D)``."""
        within = (self._weights[..., None] * self.scale.square()).sum(-2)
        return torch.diag_embed(within) + self._centred.mT @ self._centred

    @property
    def _centred(self) -> Tensor:
        """√w_k (m_k − mean), ``(*batch, K, D)``."""
        weights = self._weights[..., None]
        return weights.sqrt() * (self.loc - (weights * self.loc).sum(-2, keepdim=True))


@final
class NormalMixture(Posterior):
    """``components`` K normals from one encoder, their weights from one more map of it; s is at least ``min_scale``."""

    reference = "Graves 2016, arXiv:1607.05690"

    def __init__(self, context: Context, *, components: int = 4, min_scale: float = 1e-4) -> None:
        super().__init__(context)
        dim = context.latent_dim
        if components < 2:
            raise ValueError(f"posterior.components must be at least 2; got {components}: for one use diagonal_normal")
        if min_scale <= 0:
            raise ValueError(f"posterior.min_scale must be positive; got {min_scale}")
        if dim > MAX_DIM:
            raise ValueError(
                f"the gradient of a mixture's weights solves D equations, D² = {dim**2:,} numbers, for each image; the "
                f"limit is D = {MAX_DIM}, got {dim:,}: use posterior=low_rank_normal"
            )
        self.encoder = context.network.encoder(context, outputs=2 * components + 1)
        self.weigh = nn.Linear(dim, components)
        self.components = components
        self.min_scale = min_scale

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        *maps, features = self.encode_flat(images)
        loc, raw = torch.stack(maps, -2).chunk(2, -2)
        scale = softplus(raw + UNIT) + self.min_scale
        return VectorNormalMixture(self.weigh(features).to(loc.dtype), loc, scale, self.latent_shape)
