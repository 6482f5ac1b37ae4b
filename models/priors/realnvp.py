r"""RealNVP prior: a flow of affine couplings, u_b = exp(a(z_a)) z_b + c(z_a), one half of z held while the other moves.

The halves change roles from step to step. Within a step the half that is held gets an affine map with constant
coefficients, which makes a step slightly more than the paper's. Both directions take one pass per half and step, so
that a draw is as cheap as a density.
"""

from __future__ import annotations

from typing import final

from models.context import Context
from models.options import Count, Widths
from models.priors._flow import FlowPrior


@final
class RealNVP(FlowPrior):
    """Flow of affine couplings, started at N(0, I).

    context: shapes.
    transforms: number of couplings.
    hidden: units of each ReLU layer of a coupling's network.

    Raises ValueError above D = 4,096.
    """

    reference = "Dinh et al. 2017, arXiv:1605.08803"

    def __init__(self, context: Context, *, transforms: Count = 4, hidden: Widths = (128, 128)) -> None:
        super().__init__(
            context,
            "MAF",
            transforms=transforms,
            hidden=hidden,
            outputs=2,
            max_dim=4_096,
            because="a coupling's masks take D² bytes a step",
            passes=2,  # zuko's own coupling reads its mask's values, which neither a graph nor a map allows
        )
