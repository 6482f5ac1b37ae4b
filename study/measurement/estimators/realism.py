"""Samples as images: how real they are, by Fréchet distance, and how varied, by the classes that they have.

In the features of a classifier of the same data set, against held-out images that no source starts from. A Fréchet
distance on these features is not an FID. With several classifiers (`evaluate.classifiers`) the distances are means over
them, and their disagreement is in the error of each replicate; of a mean over seeds, which share them, it is in none.
"""

from __future__ import annotations

from analysis.estimate import Estimate
from analysis.realism import frechet, labels
from analysis.realism.feature_spaces import over_networks
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
