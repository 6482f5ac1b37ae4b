"""Samples in a second feature space, which no label has shaped: that of a convolutional network of random weights.

What two spaces agree on does not rest on one of them. Levels of the two are on scales of their own.
"""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.realism import frechet, kernel_distance
from study.measurement.estimators import Quantity, estimator
from study.measurement.samples import Samples


@estimator(
    Quantity(
        "squared_frechet_untrained",
        "`squared_frechet` in the features of an untrained network",
        bias="unbiased to O(1/n²); may be negative",
        limits="two moments; a scale of its own; misses fine differences",
    ),
    Quantity(
        "squared_kernel_distance_untrained",
        "`squared_kernel_distance` in these features",
        limits="three moments; the same",
    ),
    table="realism",
    asked=lambda evaluate: "untrained" in evaluate.features,
)
def untrained(samples: Samples) -> dict[str, Estimate]:
    reference, num = samples.reference.untrained, samples.paired
    features = reference.space.features(samples.images)
    distance = frechet.squared_frechet(frechet.FeatureMoments(features), reference.moments).extrapolated
    kernel = kernel_distance.squared_kernel_distance(features[:num], reference.features[:num])
    return {"squared_frechet_untrained": distance, "squared_kernel_distance_untrained": kernel}
