r"""Mutual information between image and latent: rate, sandwich, surgery.

The rate of a posterior q(z|x) against a prior p is R = Eₓ KL(q(z|x) ‖ p). With q the aggregate posterior,

    R = I(x; z) + KL(q ‖ p)                                                       (surgery: Hoffman & Johnson 2016)

For the finite mixture q_N, I_N = E[log q(z|xₙ) − log q_N(z)] ≤ log N and the identity holds draw by draw. For the
aggregate q_∞ over the data distribution N images only bracket the information (Poole et al. 2019, arXiv:1905.06922):
own component included, E I_N ≤ I; own component left out, I ≤ E[log q(z|xₙ) − log q₋ₙ(z)]. Hence

    E[log q₋ₙ(z) − log p(z)] ≤ KL(q_∞ ‖ p) ≤ E[log q_N(z) − log p(z)].

Where log N − I_N < 0.1 nats the end that rests on I_N is *saturated*: I_N is at its ceiling log N, and hence only a
lower bound of I. Images held out from the mixture give the leave-one-out side with the whole of q_N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.draws import ComponentDraws, HeldOutDraws
from analysis.estimate import Bound, Estimate

SATURATION_NATS = 0.1
SATURATED = "saturated"


@dataclass(frozen=True, slots=True)
class Bracket:
    """A quantity (nats) between the expectations of two estimates.

    lower: of at most the quantity in expectation.
    upper: of at least the quantity in expectation.
    """

    lower: Estimate
    upper: Estimate


def kl_standard_normal(loc: Tensor, scale: Tensor) -> Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) in nats, per image and dimension: ½(μ² + σ² − 1 − ln σ²), float64, same shape.

    Args:
        loc: μ, of any shape.
        scale: σ > 0, of the same shape.
    """
    loc, scale = loc.detach().to(torch.float64), scale.detach().to(torch.float64)
    # (σ² − 1) − ln σ² cancels where σ ≈ 1; log1p of the excess keeps its digits there.
    excess = (scale - 1) * (scale + 1)
    return (loc.square() + excess - torch.log1p(excess)) / 2


def rate(draws: ComponentDraws | HeldOutDraws) -> Estimate:
    """Rate R = E[log q(z|x) − log p(z)] (nats) for any prior, by Monte Carlo."""
    return _mean(draws, "rate")


def mutual_information(draws: ComponentDraws) -> Estimate:
    """I_N in nats: that of q_N up to Monte Carlo error, and a lower bound on the information under q_∞."""
    return _flag_saturation(_mean(draws, "information", "lower"), draws)


def mutual_information_upper(draws: ComponentDraws | HeldOutDraws) -> Estimate:
    """E[log q(z|x) − log r(z)] in nats with r the mixture of the *other* images: an upper bound on the information.

    Refused where N = 1 leaves no other image.
    """
    return _refuse_single(draws) or _mean(draws, "information_upper", "upper")


def marginal_kl_lower(draws: ComponentDraws | HeldOutDraws) -> Estimate:
    """E[log r(z) − log p(z)] ≤ KL(q_∞ ‖ p) in nats, with r the mixture of the *other* images (paired R − I_upper)."""
    return _refuse_single(draws) or _mean(draws, "kl_lower", "lower")


def marginal_kl_bracket(draws: ComponentDraws) -> Bracket:
    """KL(q_∞ ‖ p) in nats between R − I_loo and R − I_N, each the mean of a paired difference."""
    upper = _flag_saturation(_mean(draws, "kl", "upper"), draws)
    return Bracket(marginal_kl_lower(draws), upper)


def _mean(draws: ComponentDraws | HeldOutDraws, name: str, bound: Bound = "unbiased") -> Estimate:
    return Estimate.mean(draws.integrands()[name], bound, groups=draws.unit)


def _refuse_single(draws: ComponentDraws | HeldOutDraws) -> Estimate | None:
    if isinstance(draws, ComponentDraws) and draws.num_components == 1:
        return Estimate.refused("leaving one out of N = 1 leaves no mixture", n=1)
    return None


def _flag_saturation(estimate: Estimate, draws: ComponentDraws) -> Estimate:
    information = float(draws.integrands()["information"].mean())
    saturated = math.log(draws.num_components) - information < SATURATION_NATS
    return estimate.flagged(SATURATED) if saturated else estimate
