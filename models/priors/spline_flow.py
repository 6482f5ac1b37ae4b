r"""Spline flow prior: couplings u_b = g(z_b; θ(z_a)), g monotone, a rational-quadratic spline on [−5, 5].

Outside that interval g is the identity. Couplings, and not the autoregressive kind, so that a draw costs two passes a
step instead of D; what a step then lacks the spline makes up for, which bends each dimension at ``bins`` − 1 inner
knots where an affine map has one slope. The halves change roles from step to step; the half that is held gets a spline
with constant knots.
"""

from __future__ import annotations

from typing import final

from models.context import Context
from models.options import AtLeastTwo, Count, Widths
from models.priors._flow import FlowPrior


@final
class SplineFlowPrior(FlowPrior):
    """Flow of rational-quadratic spline couplings, started at N(0, I).

    context: shapes.
    transforms: number of couplings.
    hidden: units of each ReLU layer of a coupling's network.
    bins: of each spline.

    Raises ValueError above D = 512.
    """

    reference = "Durkan et al. 2019, arXiv:1906.04032"

    def __init__(
        self, context: Context, *, transforms: Count = 4, hidden: Widths = (128, 128), bins: AtLeastTwo = 8
    ) -> None:
        super().__init__(
            context,
            "NSF",
            transforms=transforms,
            hidden=hidden,
            outputs=3 * bins - 1,
            max_dim=512,
            because=f"a spline coupling's masks take {3 * bins - 1} D² bytes a step",
            bins=bins,
            passes=2,  # zuko's own coupling reads its mask's values, which neither a graph nor a map allows
        )
