r"""Active units: latent dimensions that depend on the image.

Burda et al. (2016, arXiv:1509.00519) call dimension d active where Varₓ(μ_d(x)) > 0.01. The same count on the mean
KL per dimension, Eₓ KL(q(z_d|x) ‖ N(0, 1)) > 0.01 nats, also sees dimensions whose scale alone departs from the prior.
A count misses signal spread thinly: 65,536 dimensions at variance 0.0008 are 26 nats and no active unit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry.distances import flat
from analysis.information import kl_standard_normal

ACTIVE_VARIANCE = 0.01
ACTIVE_NATS = 0.01

ELEMENTS_PER_BLOCK = 2**16
"""Number of codes at a time, whose temporaries a cache holds."""


def active_units(loc: Tensor, threshold: float = ACTIVE_VARIANCE) -> Estimate:
    """Number of dimensions whose posterior mean varies over N images; refused for one image, which has no variance.

    Args:
        loc: posterior means μ, ``(N, *latent)``.
        threshold: variance above which a dimension counts.
    """
    if len(loc) < 2:
        return Estimate.refused("a variance over images needs two of them", len(loc))
    return Estimate.exact(int((flat(loc).var(0) > threshold).sum()), len(loc))


def active_units_by_kl(loc: Tensor, scale: Tensor, threshold: float = ACTIVE_NATS) -> Estimate:
    """Number of dimensions whose KL from N(0, 1), averaged over N images, is large.

    Args:
        loc: posterior means μ, ``(N, *latent)``.
        scale: posterior standard deviations σ, of the same shape.
        threshold: nats above which a dimension counts.
    """
    rows = max(ELEMENTS_PER_BLOCK // loc[:1].numel(), 1)
    blocks = zip(loc.split(rows), scale.split(rows), strict=True)
    nats = torch.stack([kl_standard_normal(flat(means), flat(spreads)).sum(0) for means, spreads in blocks]).sum(0)
    return Estimate.exact(int((nats / len(loc) > threshold).sum()), len(loc))
