r"""Von Mises–Fisher posterior: q(z|x) = vMF(z; μ(x), κ(x)) on the unit sphere of the flattened latent.

κ = ``min_concentration`` + (D − 1) softplus(s). Under the uniform distribution the cosine to a fixed direction has
variance 1/D, so that κ moves a draw only once it is of the order of D: s near 0 is a broad posterior at every D.
"""

from __future__ import annotations

from typing import final, override

from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.nn.functional import normalize, softplus

from models.context import Context
from models.distributions import VonMisesFisher
from models.options import NonNegative
from models.posteriors._base import Posterior


@final
class VonMisesFisherPosterior(Posterior):
    """vMF(μ(x), κ(x)); μ is one encoder map divided by its norm, s the mean of another.

    context: shapes and network.
    min_concentration: floor of κ.

    Raises ValueError below D = 2.
    """

    reference = "Davidson et al. 2018, arXiv:1804.00891"
    support = "sphere"

    def __init__(self, context: Context, *, min_concentration: NonNegative = 1.0) -> None:
        super().__init__(context)
        if context.latent_dim < 2:
            raise ValueError(f"posterior von_mises_fisher needs latent_dim of at least 2; got {context.latent_dim}")
        self.encoder = context.network.encoder(context.shapes, outputs=2)
        self.min_concentration = min_concentration

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        raw_loc, raw_concentration = self.encode_flat(images)
        loc = normalize(raw_loc, dim=-1).unflatten(-1, self.latent_shape)
        concentration = (raw_loc.shape[-1] - 1) * softplus(raw_concentration.mean(-1))
        return VonMisesFisher(loc, self.min_concentration + concentration)
