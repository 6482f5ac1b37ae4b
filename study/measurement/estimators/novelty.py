"""Novelty of samples: whether they are nearer to training images than images that were not trained on."""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.realism.novelty import distance_to_nearest, novelty
from study.measurement.estimators import Quantity, estimator
from study.measurement.samples import Samples


@estimator(
    Quantity(
        "novelty_ratio",
        "E d(sample)/E d(held-out), d the distance to the nearest training image",
        "consistent",
        limits="copies and blur both lower it",
    ),
    Quantity(
        "novelty_nearer",
        "P(d(sample) < d(held-out)) + ½P(=)",
        limits="½ where samples have the law of the data; the same",
    ),
    table="realism",
)
def distance_to_training(samples: Samples) -> dict[str, Estimate]:
    reference = samples.reference
    distances = novelty(distance_to_nearest(samples.images, reference.train), reference.distances_to_train)
    return {"novelty_ratio": distances.ratio, "novelty_nearer": distances.nearer}
