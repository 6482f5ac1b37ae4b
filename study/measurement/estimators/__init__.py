"""Estimators: what is estimated of a replicate, each declared beside the function that computes it.

A file of this folder declares one estimator or a family of them; the registry finds it by its name, and a new file is
all that a new estimator takes:

    @estimator(Quantity("jeffreys", "KL(q_N ‖ p) + KL(p ‖ q_N)", of_prior=True))
    def jeffreys(split: Split) -> Estimate:
        ...

Its declaration is where the result's tree, the shared error of an estimated prior and the page of methods learn of it.
"""

from study.measurement.estimators._base import Estimator, Need, Quantity, Refused, Subject, Table, estimator, once
from study.measurement.estimators._needs import (
    CLASSES,
    DECODER,
    DIAGONAL_POSTERIOR,
    FACTORISED_PRIOR,
    IMAGE_DENSITY,
    REAL_LATENTS,
)
from study.measurement.estimators._registry import asked, estimates, families, registered

__all__ = [
    "CLASSES",
    "DECODER",
    "DIAGONAL_POSTERIOR",
    "FACTORISED_PRIOR",
    "IMAGE_DENSITY",
    "REAL_LATENTS",
    "Estimator",
    "Need",
    "Quantity",
    "Refused",
    "Subject",
    "Table",
    "asked",
    "estimates",
    "estimator",
    "families",
    "once",
    "registered",
]
