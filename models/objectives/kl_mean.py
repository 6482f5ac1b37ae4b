r"""ELBO with its KL averaged over the D latent dimensions: a common bug, kept to be measured.

    loss = −log p(x|z) + (1/D) KL(q(z|x) ‖ p(z))

A loss function that averages where it should sum turns the sum over dimensions into a mean. It is the β-ELBO with
β_eff = 1/D: at D = 128 it forgives the codes 127 of every 128 nats, and more of them at every larger D. The latent
loss that such code prints is small for the same reason, whatever the rate (hypothesis H10). D is read from the event
shapes of the latent sites; the rate is reported as the sum that it is.
"""

from __future__ import annotations

from typing import final, override

import torch
from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Pair


@final
class KLMean(Objective):
    """Summed distortion, averaged KL: β_eff = 1/D."""

    reference = "the β-VAE of Higgins et al. 2017, openreview Sy2fzU9gl, at β = 1/D"
    mean_over_images = True

    @override
    def loss(self, pair: Pair) -> Tensor:
        rate = torch.stack([site.weigh(site.term) / site.size for site in pair.latents]).sum(0)
        return (pair.distortion + rate).mean()
