"""Nearest neighbours of samples and real images, in the features of a classifier: fidelity apart from variety."""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.realism.manifold import manifold
from study.measurement.estimators import Quantity, estimator
from study.measurement.samples import Samples


@estimator(
    Quantity(
        "precision",
        "share of samples in the k-nearest-neighbour ball of a real image",
        bias="unbiased for that k and n",
        limits="depends on k, n and the law",
    ),
    Quantity(
        "recall",
        "share of real images in the ball of a sample",
        bias="unbiased for that k and n",
        limits="the same",
    ),
    Quantity("density", "mean number of real balls about a sample, over k", limits="1 where the laws agree"),
    Quantity("coverage", "share of real images whose ball holds a sample", limits="known value where the laws agree"),
    table="realism",
)
def neighbours(samples: Samples) -> dict[str, Estimate]:
    num, real = samples.paired, samples.reference.own
    balls = manifold(samples.features[:num], real.features[:num], squared_radii=real.squared_ball_radii(num))
    return {
        "precision": balls.precision,
        "recall": balls.recall,
        "density": balls.density,
        "coverage": balls.coverage,
    }
