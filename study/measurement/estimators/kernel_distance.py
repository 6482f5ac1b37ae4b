"""Kernel distance of samples from real images, in the features of a classifier; over several, the mean.

It needs no more images than features, as a Fréchet distance does, and supposes no normal law.
"""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.realism import kernel_distance
from analysis.realism.feature_spaces import over_networks
from study.measurement.estimators import Quantity, estimator
from study.measurement.samples import Samples


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
