r"""Committed rate: a hinge that makes every rate below δ nats dearer than the rate δ.

    loss = E[−log p(x|z) + KL + w max(0, δ − KL)],    KL = KL(q(z|x) ‖ p(z)) of each image,    w > 1

Below δ the latent term falls with slope w − 1 as the KL rises, above it is the ELBO's, so its minimum lies at δ and not
at the collapsed posterior. Razavi et al. commit to the rate by *structure*: they choose families of posterior and prior
whose KL cannot be below δ, and train with the plain ELBO. A hinge reaches the same rates without restricting the
families, but as a preference and not as a guarantee: an image may still lie below δ where the decoder pays for it.
Unlike :mod:`~models.objectives.free_bits` it acts below the floor. Where the KL is sampled the hinge sees its noise.
"""

from __future__ import annotations

from typing import Annotated, final, override

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import relu

from models.objectives._base import Objective
from models.objectives._pair import Latent, Pair
from models.options import Positive


@final
class CommittedRate(Objective):
    """ELBO with a hinge below a rate that every image should have.

    nats: δ, the committed rate of every image; without one it would be ``elbo``.
    weight: w, the slope of the hinge; at 1 or less the rate would still fall to 0.
    """

    reference = "after Razavi et al. 2019, arXiv:1901.03416"
    mean_over_images = True

    def __init__(self, *, nats: Positive = 10.0, weight: Annotated[float, Field(gt=1)] = 5.0) -> None:
        self.nats = nats
        self.weight = weight

    @override
    def loss(self, pair: Pair) -> Tensor:
        rate = torch.stack([self._charge(site) for site in pair.latents]).sum(0)
        return (pair.distortion + rate).mean()

    def _charge(self, site: Latent) -> Tensor:
        return site.weigh(site.term + self.weight * relu(self.nats - site.term))
