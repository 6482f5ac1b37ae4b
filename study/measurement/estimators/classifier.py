"""Classifier of the data set, in whose features images are compared."""

from __future__ import annotations

from analysis.estimate import Estimate
from study.measurement.classifier import Classifier
from study.measurement.estimators import Quantity, Refused, estimator
from study.measurement.replicate import Split


@estimator(
    Quantity("classifier_accuracy", "accuracy on held-out images"),
    rows=("held_out",),
    asked=lambda evaluate: evaluate.samples > 0,
)
def classifier_accuracy(split: Split) -> Estimate:
    classifier = split.replicate.classifier
    if not isinstance(classifier, Classifier):
        raise Refused(str(classifier))
    return classifier.accuracy
