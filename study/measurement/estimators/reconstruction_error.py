"""Reconstruction: how far decode(μ(x)) is from x, on the scale on which a reader looks at pictures."""

from __future__ import annotations

from analysis.estimate import Estimate
from study.measurement.encoding import decode
from study.measurement.estimators import DECODER, Quantity, estimator
from study.measurement.replicate import Split

IMAGES = 2_000


@estimator(
    Quantity(
        "reconstruction_error",
        "E of the squared error per pixel of E[x|z = μ(x)]",
        limits="against grey images: of images binarised by chance a perfect copy is E[x(1 − x)] away (0.07 on digits, "
        "0.02 on MNIST)",
    ),
    needs=(DECODER,),
)
def reconstruction_error(split: Split) -> Estimate:
    vae = split.replicate.vae
    rows = split.chosen(IMAGES)
    loc = split.aggregate.subset(rows).component_moments().loc
    squared = (decode(vae, loc).double() - split.grey[rows].double()).square()
    return Estimate.mean(squared.flatten(1).mean(1))
