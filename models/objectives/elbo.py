r"""Evidence lower bound: −ELBO = E_q[−log p(x|z)] + KL(q(z|x) ‖ p(z)), averaged over the images of the batch.

Each latent site contributes its closed-form KL where torch registers one, and one draw of log q(z|x) − log p(z)
elsewhere; :func:`kl_method` says which. Scales and masks of sites are honoured in the loss, as in Pyro's
``TraceMeanField_ELBO``; rate and distortion are reported without scale.
"""

from __future__ import annotations

from typing import Literal, final, override

from pyro.distributions import TorchDistribution
from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Pair, closed_form_kl


def kl_method(q: TorchDistribution, p: TorchDistribution) -> Literal["closed form", "sampled"]:
    """Whether KL(q ‖ p) has a registered closed form."""
    return "sampled" if closed_form_kl(q, p) is None else "closed form"


@final
class ELBO(Objective):
    """The negative ELBO in nats per image, one particle."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"
    mean_over_images = True

    @override
    def loss(self, pair: Pair) -> Tensor:
        return (pair.distortion + pair.rate).mean()
