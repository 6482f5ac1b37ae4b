r"""Free bits: each dimension has λ nats at no charge, so that none is pruned for less.

    loss = E[−log p(x|z)] + Σ_d max(λ, E[KL_d])

with expectations over the images of the batch (Kingma et al. 2016, eq. 15). KL_d is the KL of dimension d where
posterior and prior both factorise; elsewhere there is one group, the whole KL, with D λ nats at no charge. Below its
floor a group has no gradient: the floor neither pulls a rate up nor pushes it down. A scale on the latent site is one
on both KL and floor.
"""

from __future__ import annotations

from typing import final, override

import torch
from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Latent, Pair
from models.options import Positive


@final
class FreeBits(Objective):
    """ELBO that leaves every dimension a few nats at no charge; with none it would be ``elbo``.

    nats: λ, at no charge per dimension.
    """

    reference = "Kingma et al. 2016, arXiv:1606.04934"

    def __init__(self, *, nats: Positive = 0.1) -> None:
        self.nats = nats

    @override
    def loss(self, pair: Pair) -> Tensor:
        return pair.distortion.mean() + torch.stack([self._charge(site) for site in pair.latents]).sum()

    def _charge(self, site: Latent) -> Tensor:
        factors = site.by_factor
        floor = torch.full_like(factors, self.nats * site.size / len(factors))
        return torch.maximum(site.weigh(factors).mean(1), site.weigh(floor).mean(1)).sum()
