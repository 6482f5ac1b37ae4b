r"""β-TCVAE: the ELBO with a weight β on the total correlation of the aggregate posterior.

    KL(q(z|x) ‖ p) averaged = I(x; z) + TC(q) + Σ_d KL(q_d ‖ p_d),    loss = −ELBO + (β − 1) TC,
    TC(q) = E[log q(z) − Σ_d log q_d(z_d)]

with weight 1 on the other two terms, as Chen et al. have it. The aggregate and its marginals are those of the batch
alone, q(z) = (1/M) Σ_m q(z|x_m): up to constants, which no gradient sees, their minibatch-weighted estimator. It is a
training signal, and biased: its TC cannot exceed (D − 1) log M and is not that of the data's aggregate. Measurement
takes the exact one, over all images.

The posterior must factorise over dimensions. M² D densities are held at once.
"""

from __future__ import annotations

import math
from typing import final, override

import torch
from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Latent, Pair
from models.options import NonNegative


@final
class BetaTCVAE(Objective):
    """ELBO with a weight of its own on the total correlation of the aggregate posterior.

    total_correlation: β, the weight of TC; 1 gives the ELBO.
    """

    reference = "Chen et al. 2018, arXiv:1802.04942"
    needs_factorised = True

    def __init__(self, *, total_correlation: NonNegative = 6.0) -> None:
        self.total_correlation = total_correlation

    @override
    def loss(self, pair: Pair) -> Tensor:
        correlation = torch.stack([site.weigh(batch_total_correlation(site)) for site in pair.latents]).sum(0)
        return (pair.distortion + pair.rate + (self.total_correlation - 1) * correlation).mean()


def batch_total_correlation(site: Latent) -> Tensor:
    """log q(z) − Σ_d log q_d(z_d) in nats at each draw of ``site``, ``(M,)``; q is the mixture of its M posteriors."""
    num = len(site.value)
    by_dimension = site.q.base_dist.log_prob(site.value[:, None]).reshape(num, num, site.size)
    marginals = by_dimension.logsumexp(1) - math.log(num)
    return by_dimension.sum(2).logsumexp(1) - math.log(num) - marginals.sum(1)
