r"""Importance-weighted bound: K draws per image bound log p(x) more closely than one.

    loss = −E log (1/K) Σ_k w_k,    w_k = p(x|z_k) p(z_k) / q(z_k|x),    z_k ~ q(z|x)

K = 1 is the ELBO with a sampled KL; the bound rises with K towards log p(x). As it does, the signal-to-noise ratio of
the encoder's gradient falls as 1/√K (Rainforth et al. 2018, arXiv:1802.04537), which
:mod:`~models.objectives.dreg_iwae` mends. A scale s on the latent site makes the weights p(x|z) (p(z)/q(z|x))^s.
Each image is encoded K times over, so that any pair with one plate will do.
"""

from __future__ import annotations

import math
from typing import final, override

from torch import Tensor

from models.objectives._base import Objective
from models.objectives._pair import Pair
from models.options import Repeats


@final
class IWAE(Objective):
    """Importance-weighted bound of K draws of the posterior per image.

    draws: K per image.
    """

    reference = "Burda et al. 2016, arXiv:1509.00519"
    mean_over_images = True

    def __init__(self, *, draws: Repeats = 5) -> None:
        self.draws = draws

    @override
    def loss(self, pair: Pair) -> Tensor:
        return math.log(self.draws) - pair.log_weights.reshape(self.draws, -1).logsumexp(0).mean()
