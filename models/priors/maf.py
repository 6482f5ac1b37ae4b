r"""Masked autoregressive flow prior: u_d = exp(a_d(z_<d)) z_d + c_d(z_<d), several such steps in alternating order.

A step's density takes one pass of a masked network and its inverse D passes, one per dimension: cheap to train with,
slow to draw from.
"""

from __future__ import annotations

from typing import final

from models.context import Context
from models.priors._flow import FlowPrior


@final
class MAF(FlowPrior):
    """``transforms`` steps, each with a masked network of ``hidden`` ReLU layers, started at N(0, I).

    A layer narrower than D is widened to D: a masked unit stands for one dimension, and the others would go unseen.
    """

    reference = "Papamakarios et al. 2017, arXiv:1705.07057"

    def __init__(self, context: Context, *, transforms: int = 3, hidden: tuple[int, ...] = (128, 128)) -> None:
        super().__init__(
            context,
            "MAF",
            transforms=transforms,
            hidden=tuple(max(width, context.latent_dim) if width > 0 else width for width in hidden),
            outputs=2,
            max_dim=256,
            because="an autoregressive flow draws in D sequential passes a step, of layers as wide as D",
        )
