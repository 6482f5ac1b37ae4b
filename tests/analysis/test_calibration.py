"""Calibration: 95 % intervals cover their expectation in [93, 97] % of 2,000 replications.

A replication draws its data anew. Truth is a closed form where the estimator is unbiased for one; otherwise it is the
mean over all replications, so that the standard error is judged apart from the bias. With 2,000 replications the share
covered is known to 0.5 percentage points: an estimator whose standard error is 15 % off fails.
"""

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch.distributions import Independent, Normal

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.divergence import (
    bhattacharyya_coefficient,
    jensen_shannon,
    kl_aggregate_to_prior,
    kl_prior_to_aggregate,
    log_ratio_auc,
    total_variation,
)
from analysis.draws import ComponentDraws, DrawDensities, evaluate_component_draws
from analysis.estimate import Estimate
from analysis.geometry.intrinsic_dimension import two_nn
from analysis.geometry.shells import shell
from analysis.information import marginal_kl_bracket, mutual_information, mutual_information_upper, rate
from analysis.moments import moment_split
from analysis.subsampling import subsampling_curve
from analysis.total_correlation import dimensionwise_split
from analysis.two_sample import nearest_neighbour_kl, squared_mmd, squared_sliced_wasserstein

REPLICATIONS = 2_000
FEWER = {"subsampling_slope": 500, "nearest_neighbour_kl": 800}
"""Of estimators of which each takes a hundredth of a second or more."""

SHIFT, SPREAD, NOISE, OFFSET = 1.0, 0.4, 0.6, 0.3

Replication = Callable[[torch.Generator], Estimate]


def normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def densities(z: torch.Tensor) -> DrawDensities:
    log_shifted = -(z - SHIFT).square() / 2
    return DrawDensities(log_shifted, -z.square() / 2, torch.arange(len(z)))


def shifted_pair(divergence: Callable[..., Estimate]) -> Replication:
    """N(1, 1) against N(0, 1) from 150 draws of each."""

    def replicate(generator: torch.Generator) -> Estimate:
        return divergence(densities(normal(generator, 150) + SHIFT), densities(normal(generator, 150)))

    return replicate


def prior(dim: int) -> Independent:
    return Independent(Normal(torch.zeros(dim, dtype=torch.float64), torch.ones(dim, dtype=torch.float64)), 1)


def encoded(generator: torch.Generator, num: int, dim: int = 1) -> DiagonalAggregate:
    """Images of two classes: means near +1 or −1 in every dimension, shifted by 0.3, with posterior scale 0.6."""
    classes = normal(generator, num, 1).sign()
    loc = SHIFT * classes + SPREAD * normal(generator, num, dim) + OFFSET
    return DiagonalAggregate(InMemoryCodes(loc, torch.full_like(loc, NOISE)))


def images(
    estimator: Callable[[DiagonalAggregate, torch.Tensor, ComponentDraws], Estimate], dim: int = 1
) -> Replication:
    """100 new images, three draws of each."""

    def replicate(generator: torch.Generator) -> Estimate:
        aggregate = encoded(generator, 100, dim)
        z, component = aggregate.sample_per_image(3, generator)
        return estimator(aggregate, z, evaluate_component_draws(aggregate, prior(dim), z, component))

    return replicate


def slope(generator: torch.Generator) -> Estimate:
    curve = subsampling_curve(
        encoded(generator, 400), prior(1), (2, 16), num_repeats=24, num_draws=20, generator=generator
    )
    return curve.slope()


RATE = (SHIFT**2 + OFFSET**2 + SPREAD**2 + NOISE**2 - 1 - 2 * math.log(NOISE)) / 2

CASES: dict[str, tuple[Replication, float | None]] = {
    "kl_aggregate_to_prior": (shifted_pair(lambda q, p: kl_aggregate_to_prior(q)), SHIFT**2 / 2),
    "kl_prior_to_aggregate": (shifted_pair(lambda q, p: kl_prior_to_aggregate(p)), SHIFT**2 / 2),
    "total_variation": (shifted_pair(total_variation), 2 * stats.norm.cdf(SHIFT / 2) - 1),
    "jensen_shannon": (shifted_pair(jensen_shannon), None),
    "bhattacharyya": (shifted_pair(bhattacharyya_coefficient), math.exp(-(SHIFT**2) / 8)),
    "log_ratio_auc": (shifted_pair(log_ratio_auc), stats.norm.cdf(SHIFT / math.sqrt(2))),
    "rate": (images(lambda aggregate, z, draws: rate(draws)), RATE),
    "information": (images(lambda aggregate, z, draws: mutual_information(draws)), None),
    "information_upper": (images(lambda aggregate, z, draws: mutual_information_upper(draws)), None),
    "marginal_kl_upper": (images(lambda aggregate, z, draws: marginal_kl_bracket(draws).upper, dim=2), None),
    "total_correlation": (
        images(lambda aggregate, z, draws: dimensionwise_split(aggregate, prior(2), z, draws).total_correlation, 2),
        None,
    ),
    "moment_residual": (
        images(lambda aggregate, z, draws: moment_split(aggregate, prior(2), z, draws).residual_kl, 2),
        None,
    ),
    "subsampling_slope": (slope, None),
    "mean_square_norm": (lambda g: shell(normal(g, 200, 3)).mean_square, 1.0),
    "norm_sd": (lambda g: shell(normal(g, 200, 3)).norm_sd, None),
    "squared_mmd": (lambda g: squared_mmd(normal(g, 80, 2) + SHIFT, normal(g, 80, 2), 1.2), None),
    "sliced_wasserstein": (
        lambda g: squared_sliced_wasserstein(normal(g, 400, 2) + SHIFT, normal(g, 400, 2), g, num_projections=20),
        None,
    ),
    "nearest_neighbour_kl": (lambda g: nearest_neighbour_kl(normal(g, 200, 2) + SHIFT, normal(g, 200, 2)), None),
    "two_nn": (lambda g: two_nn(normal(g, 200, 2)), None),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_intervals_cover(name):
    replicate, truth = CASES[name]
    number = FEWER.get(name, REPLICATIONS)
    estimates = [replicate(torch.Generator().manual_seed(seed)) for seed in range(number)]
    if truth is None:
        truth = math.fsum(estimate.value for estimate in estimates) / number
    covered = sum(truth in estimate.interval() for estimate in estimates)
    assert abs(covered / number - 0.95) <= 0.02 * math.sqrt(REPLICATIONS / number)
