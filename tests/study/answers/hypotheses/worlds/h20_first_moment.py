"""World of H20."""

from ._estimates import realism


def truth(cell, holds):
    mean, covariance = (45.0, 90.0) if holds else (95.0, 50.0)
    both = 30.0
    controls = {"mean_permuted": 98.0 if holds else 94.5, "mean_negated": 130.0, "mean_random": 99.0}
    ends = {"prior": 100.0, "aggregate_train": 20.0, "aggregate_centred": 75.0 if holds else 24.0}
    return realism(mean_normal=mean, centred_normal=covariance, moment_normal=both, **controls, **ends), {}
