"""Samples as images: how real and how varied they are.

In the features of a classifier of the same data set, against held-out images that no source starts from. A Fréchet
distance on these features is not an FID. With several classifiers (`evaluate.classifiers`) the distances are means over
them, and their disagreement is in the error.
"""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.realism import frechet, kernel_distance, labels
from analysis.realism.feature_spaces import over_networks
from analysis.realism.manifold import manifold
from study.measurement.estimators import CLASSES, Quantity, estimator
from study.measurement.samples import Samples


@estimator(
    Quantity(
        "squared_frechet",
        "‖m₁ − m₂‖² + tr(C₁ + C₂ − 2(C₁^½ C₂ C₁^½)^½), extrapolated to n = ∞",
        bias="unbiased to O(1/n²); may be negative",
        limits="two moments",
    ),
    Quantity(
        "squared_frechet_plug_in",
        "the same of the samples as they are",
        "consistent",
        "consistent, upward by O(1/n)",
        "compare at equal n, beside `held_out`",
    ),
    table="realism",
)
def squared_frechet(samples: Samples) -> dict[str, Estimate]:
    distances = [
        frechet.squared_frechet(frechet.FeatureMoments(features), real.moments) for features, real in samples.by_network
    ]
    return {
        "squared_frechet": over_networks([distance.extrapolated for distance in distances]),
        "squared_frechet_plug_in": over_networks([distance.plug_in for distance in distances]),
    }


@estimator(
    Quantity("squared_kernel_distance", "MMD² with kernel (x·y/F + 1)³", limits="three moments"), table="realism"
)
def squared_kernel_distance(samples: Samples) -> Estimate:
    num = samples.paired
    return over_networks(
        [
            kernel_distance.squared_kernel_distance(features[:num], real.features[:num])
            for features, real in samples.by_network
        ]
    )


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


@estimator(
    Quantity(
        "class_entropy",
        "H of the mean class distribution",
        "consistent",
        "consistent, downward by O(C/n)",
        "log C where classes are drawn equally often",
    ),
    Quantity(
        "sample_entropy",
        "mean H of the class distribution of a sample",
        limits="a classifier may be sure of what is no image",
    ),
    Quantity("confidence", "mean probability of the likeliest class", limits="the same"),
    table="realism",
    needs=(CLASSES,),
)
def classes(samples: Samples) -> dict[str, Estimate]:
    return {
        "class_entropy": labels.class_entropy(samples.probabilities),
        "sample_entropy": labels.sample_entropy(samples.probabilities),
        "confidence": labels.confidence(samples.probabilities),
    }
