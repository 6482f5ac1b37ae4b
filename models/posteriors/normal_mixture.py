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

from typing import ClassVar, final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.special import ndtr

from models import noise
from models.context import Context
from models.distributions import EventDistribution
from models.options import AtLeastTwo, Positive
from models.positive import positive
from models.posteriors._base import Posterior
from models.standard_normal import HALF_LOG_2PI

MAX_DIM = 512


@final
class MixtureByImage(EventDistribution):
    """Mixtures of K normals, one for each element of the batch, over events of ``event_shape`` with D elements.

    logits: the weights are their softmax, ``(*batch, K)``.
    loc, scale: means and positive standard deviations of the components, ``(*batch, K, D)``.
    """

    has_rsample = True
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
        log_normal = -0.5 * standard.square() - scale.log() - HALF_LOG_2PI
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
        normaliser = self.scale.log().sum(-1) + self.loc.shape[-1] * HALF_LOG_2PI
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
class NormalMixturePosterior(Posterior):
    """K normals from one encoder, their weights from one more map of it; for K = 1 there is ``diagonal_normal``.

    context: shapes and network.
    components: K.
    min_scale: floor of s, in units of the latent.

    Raises ValueError above D = 512.
    """

    reference = "Graves 2016, arXiv:1607.05690"

    def __init__(self, context: Context, *, components: AtLeastTwo = 4, min_scale: Positive = 1e-4) -> None:
        super().__init__(context)
        dim = context.latent_dim
        if dim > MAX_DIM:
            raise ValueError(
                f"the gradient of a mixture's weights solves D equations, D² = {dim**2:,} numbers, for each image; the "
                f"limit is D = {MAX_DIM}, got {dim:,}: use posterior=low_rank_normal"
            )
        self.encoder = context.network.encoder(context.shapes, outputs=2 * components + 1)
        self.weigh = nn.Linear(dim, components)
        self.components = components
        self.min_scale = min_scale

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        *maps, features = self.encode_flat(images)
        loc, raw = torch.stack(maps, -2).chunk(2, -2)
        scale = positive(raw, self.min_scale)
        return MixtureByImage(self.weigh(features).to(loc.dtype), loc, scale, self.latent_shape)
