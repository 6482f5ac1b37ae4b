"""Reconstruction: how far decode(μ(x)) is from x, on the scale on which a reader looks at pictures."""

from __future__ import annotations

import torch

from analysis.estimate import Estimate
from study.measurement.encoding import CHUNK, decode
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
    errors = [
        (decode(vae, z).double() - split.grey[few].double()).square().flatten(1).mean(1)
        for z, few in zip(loc.split(CHUNK), rows.split(CHUNK), strict=True)
    ]
    return Estimate.mean(torch.cat(errors))
