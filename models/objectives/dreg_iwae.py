r"""Doubly reparameterised importance-weighted bound: the bound of :mod:`~models.objectives.iwae`, another gradient.

With normalised weights v_k = w_k / Σ_j w_j the posterior's parameters φ receive, in place of the IWAE's gradient,

    E Σ_k v_k² ∂log w_k/∂z_k ∂z_k/∂φ,

the same in expectation, and of lower variance: the term of the score ∂log q_φ(z)/∂φ at fixed z is reparameterised
once more, and at the optimum the gradient vanishes draw by draw. Model and prior receive Σ_k v_k ∂log p(x, z_k) as
before. For K = 1 it is the gradient "sticking the landing" (Roeder et al. 2017, arXiv:1703.09194).

The loss is the bound; its gradient is that of S = Σ_k v_k log p(x, z̃_k) − v_k² [log q_φ(z_k) − log q_φ(z_k′)], where
z̃_k = z_k′ + v_k (z_k − z_k′) and z′ is z without gradient. The first term needs a second pass through the model.
"""

from __future__ import annotations

import math
from typing import final, override

import torch
from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Latent, Pair
from models.options import Repeats


@final
class DRegIWAE(Objective):
    """Importance-weighted bound of K draws, with a gradient of lower variance.

    draws: K per image.
    """

    reference = "Tucker et al. 2019, arXiv:1810.04152"
    mean_over_images = True

    def __init__(self, *, draws: Repeats = 5) -> None:
        self.draws = draws

    @override
    def loss(self, pair: Pair) -> Tensor:
        log_weights = pair.log_weights.detach().reshape(self.draws, -1)
        shares = log_weights.softmax(0).flatten()
        joint = pair.log_joint({site.name: _slowed(site.value, shares) for site in pair.latents})
        paths = torch.stack([site.weigh(_path(site)) for site in pair.latents]).sum(0)
        surrogate = (shares * joint - shares.square() * paths).reshape(self.draws, -1).sum(0).mean()
        bound = log_weights.logsumexp(0).mean() - math.log(self.draws)
        return -(bound + surrogate - surrogate.detach())


def _slowed(value: Tensor, factor: Tensor) -> Tensor:
    """``value`` ``(B, …)`` with its gradient times ``factor`` ``(B,)``."""
    fixed = value.detach()
    return fixed + factor.reshape(-1, *[1] * (value.dim() - 1)) * (value - fixed)


def _path(site: Latent) -> Tensor:
    """Zero, with the gradient of log q(z|x) along z alone, ``(B,)``."""
    return site.q.log_prob(site.value) - site.q.log_prob(site.value.detach())
