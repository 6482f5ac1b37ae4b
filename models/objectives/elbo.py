r"""Evidence lower bound: −ELBO = E_q[−log p(x|z)] + KL(q(z|x) ‖ p(z)), averaged over the images of the batch.

Each latent site contributes its closed-form KL where torch registers one, and one draw of log q(z|x) − log p(z)
elsewhere; :func:`kl_method` says which. Scales and masks of sites are honoured in the loss, as in Pyro's
``TraceMeanField_ELBO``; rate and distortion are reported without scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, final, override

from pyro import poutine
from pyro.distributions import TorchDistribution
from pyro.distributions.util import scale_and_mask
from pyro.poutine.subsample_messenger import _Subsample
from torch import Tensor
from torch.distributions import kl_divergence

from models.objectives._base import Objective, Terms


def kl_method(q: TorchDistribution, p: TorchDistribution) -> Literal["closed form", "sampled"]:
    """Whether KL(q ‖ p) has a registered closed form."""
    try:
        kl_divergence(q, p)
    except NotImplementedError:
        return "sampled"
    return "closed form"


@final
class ELBO(Objective):
    """The negative ELBO in nats per image, one particle."""

    reference = "Kingma & Welling 2014, arXiv:1312.6114"

    @override
    def __call__(self, model: Callable[..., Any], guide: Callable[..., Any], images: Tensor, *args: Any) -> Terms:
        guide_trace = poutine.trace(guide).get_trace(images, *args)
        model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(images, *args)
        zero = images.new_zeros(len(images))
        loss, rate, distortion = zero, zero, zero
        sites: dict[str, Any] = model_trace.nodes
        for name, site in sites.items():
            if site["type"] != "sample" or isinstance(site["fn"], _Subsample):
                continue
            if site["is_observed"]:
                term = -site["fn"].log_prob(site["value"])
                distortion = distortion + _masked(term, site)
            else:
                term = _kl(guide_trace.nodes[name], site)
                rate = rate + _masked(term, site)
            loss = loss + scale_and_mask(term, site["scale"], site["mask"])
        return Terms(loss.mean(), rate, distortion)


def _masked(term: Tensor, site: Any) -> Tensor:
    return scale_and_mask(term, 1.0, site["mask"]).detach()


def _kl(guide_site: Any, model_site: Any) -> Tensor:
    """KL of one latent site per image, ``(B,)``."""
    q, p, z = guide_site["fn"], model_site["fn"], guide_site["value"]
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return q.log_prob(z) - p.log_prob(z)
