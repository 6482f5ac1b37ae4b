"""Spectrum: how many directions carry the covariance of the aggregate posterior."""

from __future__ import annotations

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry import spectrum
from study.measurement.estimators import Quantity, Refused, estimator, once
from study.measurement.estimators.neighbours import NEIGHBOURS
from study.measurement.replicate import Split


@once
def eigenvalues(split: Split) -> Tensor:
    """Eigenvalues ``(D,)`` of the exact covariance of the aggregate, descending.

    Raises Refused where it has no closed form, or D is too large for a D × D matrix.
    """
    try:
        return spectrum.aggregate_spectrum(split.aggregate)
    except ValueError as error:
        raise Refused(str(error)) from error


@estimator(
    Quantity(
        "effective_rank",
        "exp of the entropy of λ/Σλ, λ of Cov(μ) + diag E σ²",
        "exact",
        "exact for these images",
        "D that a D × D matrix allows",
    ),
    Quantity("participation_ratio", "(Σλ)²/Σλ²", "exact", "exact for these images", "the same"),
    Quantity("largest_eigenvalue", "max λ", "exact", "exact for these images", "the same"),
    rows=("train",),
)
def aggregate_spectrum(split: Split) -> dict[str, Estimate]:
    values, num = eigenvalues(split), len(split)
    return {
        "effective_rank": spectrum.effective_rank(values, num),
        "participation_ratio": spectrum.participation_ratio(values, num),
        "largest_eigenvalue": Estimate.exact(float(torch.max(values)), num),
    }


@estimator(
    Quantity(
        "effective_rank_of_means",
        "the same of Cov(μ) alone",
        "exact",
        "exact for these images",
        "at most their number, which is up to 2,000; for D beyond `effective_rank`, from their Gram matrix",
    )
)
def effective_rank_of_means(split: Split) -> Estimate:
    loc = split.codes_of(NEIGHBOURS).loc
    values = spectrum.mean_spectrum(loc)
    if not float(values.sum()) > 0:
        raise Refused("all means coincide", len(loc))
    return spectrum.effective_rank(values, len(loc))
