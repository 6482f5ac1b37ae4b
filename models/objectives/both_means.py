r"""ELBO with both of its terms averaged over their elements: the commonest bug of VAE code, kept to be measured.

    loss = (1/P) (−log p(x|z)) + (1/D) KL(q(z|x) ‖ p(z)) = (1/P) [−log p(x|z) + (P/D) KL(q(z|x) ‖ p(z))]

with P pixel values and D latent dimensions, as ``reduction="mean"`` on both terms makes it. Up to the factor 1/P it is
the β-ELBO with β_eff = P/D: 0.012 for 28 × 28 pixels and D = 65,536, where it prints a latent loss near zero for codes
of hundreds of nats; above 1 for D < P, where it prunes (hypothesis H10). The factor 1/P does not matter to Adam but
through its ε. P and D are read from the event shapes of the sites; rate and distortion are reported as sums.
"""

from __future__ import annotations

from typing import final, override

import torch
from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Pair


@final
class BothMeans(Objective):
    """Averaged distortion, averaged KL: β_eff = pixels/D, and a loss in nats per pixel value."""

    reference = "the β-VAE of Higgins et al. 2017, openreview Sy2fzU9gl, at β = pixels/D"
    mean_over_images = True

    @override
    def loss(self, pair: Pair) -> Tensor:
        sites = (*pair.latents, *pair.observed)
        return torch.stack([site.weigh(site.term) / site.size for site in sites]).sum(0).mean()
