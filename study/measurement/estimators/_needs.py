"""Needs: what estimators may ask of posterior and prior."""

from __future__ import annotations

from torch.distributions import Independent, Normal

from analysis.aggregate import NOT_DIAGONAL
from study.measurement.estimators._base import Need
from study.measurement.replicate import Split


def _factorised(split: Split) -> bool:
    prior = split.replicate.prior
    return isinstance(prior, Independent) and isinstance(prior.base_dist, Normal)


def _real(split: Split) -> bool:
    return bool(split.replicate.vae.prior.support == "real")


DIAGONAL_POSTERIOR = Need(NOT_DIAGONAL, lambda split: split.aggregate.is_diagonal)
FACTORISED_PRIOR = Need("defined for a factorised normal prior", _factorised)
REAL_LATENTS = Need("defined for latents in all of the real space", _real)
