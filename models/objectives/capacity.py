r"""Controlled capacity: the rate is held at C nats by a penalty on either side of it.

    loss = E[−log p(x|z)] + γ |R − s C|,    R = E[KL(q(z|x) ‖ p(z))]

Here the constraint is on the rate, the mean over the images of the batch; Burgess et al. write it for one image. The
scale s of the latent site, β with its warm-up, multiplies the capacity and not γ: a KL warm-up to β = 1 is the paper's
linear increase of C from 0, and a study over β at fixed C is one over target rates.
"""

from __future__ import annotations

from typing import final, override

import torch
from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Pair
from models.options import NonNegative


@final
class Capacity(Objective):
    """Reconstruction at a target rate, with a price for each nat away from it.

    nats: C, the target rate.
    gamma: γ, the price of each nat away from it.
    """

    reference = "Burgess et al. 2018, arXiv:1804.03599"

    def __init__(self, *, nats: NonNegative = 25.0, gamma: NonNegative = 100.0) -> None:
        self.nats = nats
        self.gamma = gamma

    @override
    def loss(self, pair: Pair) -> Tensor:
        rate = torch.stack([site.masked for site in pair.latents]).sum(0)
        target = torch.stack([site.weigh(torch.full_like(site.term, self.nats)) for site in pair.latents]).mean(0)
        return pair.distortion.mean() + self.gamma * (rate.mean() - target.mean()).abs()
