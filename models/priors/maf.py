r"""Masked autoregressive flow prior: u_d = exp(a_d(z_<d)) z_d + c_d(z_<d), several such steps in alternating order.

A step's density takes one pass of a masked network and its inverse D passes, one per dimension: cheap to train with,
slow to draw from.
"""

from __future__ import annotations

from typing import final

from models.context import Context
from models.options import Count, Widths
from models.priors._flow import FlowPrior


@final
class MAF(FlowPrior):
    """Flow of masked autoregressive affine maps, started at N(0, I).

    context: shapes.
    transforms: number of steps.
    hidden: units of each ReLU layer of a step's masked network. A layer narrower than D is widened to D: a masked unit
        stands for one dimension, and the others would go unseen.

    Raises ValueError above D = 256.
    """

    reference = "Papamakarios et al. 2017, arXiv:1705.07057"

    def __init__(self, context: Context, *, transforms: Count = 3, hidden: Widths = (128, 128)) -> None:
        super().__init__(
            context,
            "MAF",
            transforms=transforms,
            hidden=tuple(max(width, context.latent_dim) for width in hidden),
            outputs=2,
            max_dim=256,
            because="an autoregressive flow draws in D sequential passes a step, of layers as wide as D",
        )
