r"""InfoVAE: the ELBO with its KL reweighted, and the maximum mean discrepancy of codes and prior beside it.

    loss = E[−log p(x|z)] + (1 − α) KL(q(z|x) ‖ p) + (α + λ − 1) MMD²(q, p)

α = 1 leaves the MMD alone, with weight λ: the WAE-MMD of Tolstikhin et al. 2018 (arXiv:1711.01558), with a stochastic
encoder. With k(x, y) = Σ_c exp(−|x − y|²/2h_c²), h_c² = c D for c in :data:`WIDTHS`,

    MMD² = E k(z, z′) − 2 E k(z, y) + E k(y, y′),    z, z′ ~ q independent,    y, y′ ~ p.

q is the batch's draws, none paired with itself: the estimate is unbiased and may be negative. Expectations over y are
exact, where others draw y: a normal or a mixture of normals smoothed by a Gaussian kernel has a closed form (Rustamov
2021, arXiv:1901.03227). Other priors are refused, and the kernel is not WAE's inverse multiquadric, which has none.
"""

from __future__ import annotations

from typing import Annotated, final, override

import torch
from pydantic import Field
from pyro.distributions import Independent, TorchDistribution
from torch import Tensor
from torch.distributions import Normal

from models.distributions import NormalMixture
from models.objectives._base import Objective
from models.objectives._pair import Latent, Pair
from models.options import NonNegative

WIDTHS = (0.1, 0.5, 1.0, 2.0, 10.0)
"""Squared widths of the kernel, in units of D: two draws of N(0, I) lie about 2D apart, squared."""


@final
class InfoVAE(Objective):
    """ELBO with its KL reweighted, and the maximum mean discrepancy of codes and prior.

    information: α; at 1 the KL is dropped.
    divergence: λ ≥ 1 − α, or the discrepancy would be rewarded.

    Raises ValueError for a smaller λ.
    """

    reference = "Zhao et al. 2019, arXiv:1706.02262"

    def __init__(self, *, information: Annotated[float, Field(le=1)] = 0.0, divergence: NonNegative = 1000.0) -> None:
        if divergence < 1 - information:
            raise ValueError(
                f"objective.divergence must be at least 1 - objective.information = {1 - information:g}, or the "
                f"discrepancy would be rewarded; got {divergence}"
            )
        self.kl_weight = 1 - information
        self.discrepancy_weight = information + divergence - 1

    @override
    def loss(self, pair: Pair) -> Tensor:
        discrepancy = torch.stack([site.weigh(squared_mmd(site).expand_as(site.term)) for site in pair.latents]).sum(0)
        return (pair.distortion + self.kl_weight * pair.rate + self.discrepancy_weight * discrepancy).mean()


def squared_mmd(site: Latent) -> Tensor:
    """MMD² of the draws of ``site``, at least two, and its prior; 0-d."""
    weights, loc, variance = _components(site.p)
    z, num = site.value.flatten(1), len(site.value)
    total = z.new_zeros(())
    # Products of three digits would leave nothing of a small discrepancy, so a bf16 autocast is kept out.
    with torch.autocast(z.device.type, enabled=False):
        for width in WIDTHS:
            square = width * site.size
            codes = _smoothed(z, z, torch.zeros_like(z), square)
            among = (codes.sum() - codes.diagonal().sum()) / (num * (num - 1))
            across = (_smoothed(z, loc, variance, square) @ weights).mean()
            total = total + among - 2 * across + weights @ _among(loc, variance, square) @ weights
    return total


def _components(p: TorchDistribution) -> tuple[Tensor, Tensor, Tensor]:
    """Weights ``(K,)``, means and variances ``(K, D)`` of the prior; weights that vary by image are averaged."""
    match p:
        case Independent() if isinstance(p.base_dist, Normal):
            loc, scale = (t.reshape(-1, p.event_shape.numel())[:1] for t in (p.base_dist.loc, p.base_dist.scale))
            return loc.new_ones(1), loc, scale.square()
        case NormalMixture():
            weights = p.logits.softmax(-1).reshape(-1, p.logits.shape[-1]).mean(0)
            return weights, p.loc.flatten(1), p.scale.flatten(1).square()
        case _:
            raise ValueError(
                f"info_vae needs a prior that is a normal or a mixture of normals, not {type(p).__name__}; "
                "use prior=standard_normal, gaussian_mixture or vamp, or objective=beta_tcvae"
            )


def _smoothed(z: Tensor, loc: Tensor, variance: Tensor, square: float) -> Tensor:
    """E exp(−|z_n − y|²/2h²) over y ~ N(m_k, diag v_k), ``(n, K)``; z is ``(n, D)``, m and v ``(K, D)``."""
    precision = (variance + square).reciprocal()
    quadratic = z.square() @ precision.T - 2 * z @ (loc * precision).T + (loc.square() * precision).sum(1)
    return (-0.5 * (quadratic + (variance / square).log1p().sum(1))).exp()


def _among(loc: Tensor, variance: Tensor, square: float) -> Tensor:
    """E exp(−|y − y′|²/2h²) over y ~ N(m_k, diag v_k) and y′ ~ N(m_l, diag v_l), ``(K, K)``."""
    both = variance[:, None] + variance
    quadratic = (loc[:, None] - loc).square() / (both + square)
    return (-0.5 * (quadratic + (both / square).log1p()).sum(-1)).exp()
