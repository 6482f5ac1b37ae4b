r"""Inverse autoregressive flow posterior: steps v_d = m_d + s_d u_d, with m_d and s_d functions of u_<d and h(x).

The Jacobian is triangular, log |det| = Σ_d log s_d, so a draw and its density take one pass of a masked network a step
(Germain et al. 2015, arXiv:1502.03509). The density of any other point is exact too, but takes D passes a step, since
u_d can be solved for only after u_<d: evaluation against many images is slow, and objectives that ask for the density
at a copy of a draw (dreg_iwae) or of another image's q (vamp) pay for it in every update.

Kingma et al. put the encoder's affine map before the steps and gate them; here it comes last, so that steps see
standardised noise and start near the identity, and q near the diagonal normal.
"""

from __future__ import annotations

from typing import final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn.functional import linear

from models.context import Context
from models.options import Count, Positive
from models.positive import positive
from models.posteriors._base import Posterior
from models.posteriors._flow import FlowDistribution, Step, nearly_zero

MAX_DIM = 1024


@final
class AutoregressiveStep(Step):
    """A masked network of one ReLU layer, of which a unit sees the dimensions below its own.

    dim: D.
    width: units of the layer, at least D of them in effect.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        order, degree = torch.arange(dim), torch.arange(max(width, dim)) % dim
        self.into: Tensor
        self.out: Tensor
        self.register_buffer("into", order < degree[:, None], persistent=False)
        self.register_buffer("out", (degree <= order[:, None]).repeat(2, 1), persistent=False)
        self.from_u = nn.Linear(dim, len(degree), bias=False)
        self.from_h = nn.Linear(dim, len(degree))
        self.last = nearly_zero(nn.Linear(len(degree), 2 * dim))

    @override
    def forward(self, u: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self._map(u, self.from_h(h))
        return loc + scale * u, scale.log().sum(-1)

    @override
    def inverse(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        given = self.from_h(h)
        order = torch.arange(v.shape[-1], device=v.device)
        u = torch.zeros_like(v)
        # Dimensions not solved for yet stay at zero: garbage there could overflow, and zero weights do not mask that.
        for d in range(v.shape[-1]):
            loc, scale = self._map(u, given)
            u = torch.where(order == d, (v - loc) / scale, u)
        return u, scale.log().sum(-1)

    def _map(self, u: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """m and s, ``(…, D)``; both may depend on dimension d only through the dimensions after it."""
        hidden = (linear(u, self.from_u.weight * self.into) + given).relu()
        loc, raw = linear(hidden, self.last.weight * self.out, self.last.bias).chunk(2, -1)
        return loc, positive(raw, 1e-3)


@final
class IAF(Posterior):
    """Masked autoregressive steps of noise, after which come μ and σ of the encoder.

    context: shapes and network.
    transforms: number of steps.
    hidden: units of each step's network, at least D of them in effect.
    min_scale: floor of σ, in units of the latent.

    Raises ValueError above D = 1,024.
    """

    reference = "Kingma et al. 2016, arXiv:1606.04934"

    def __init__(
        self, context: Context, *, transforms: Count = 2, hidden: Count = 128, min_scale: Positive = 1e-4
    ) -> None:
        super().__init__(context)
        dim = context.latent_dim
        if dim > MAX_DIM:
            raise ValueError(
                f"an autoregressive posterior inverts a point in D passes of layers as wide as D; its limit is D = "
                f"{MAX_DIM:,}, got {dim:,}: use posterior=spline_flow or low_rank_normal"
            )
        self.encoder = context.network.encoder(context.shapes, outputs=3)
        self.steps = nn.ModuleList(AutoregressiveStep(dim, hidden) for _ in range(transforms))
        self.min_scale = min_scale

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        loc, raw, h = self.encode_flat(images)
        return FlowDistribution(loc, positive(raw, self.min_scale), h, self.steps, self.latent_shape)
