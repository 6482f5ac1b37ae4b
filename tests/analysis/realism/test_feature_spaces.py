"""Feature spaces: what agreement and disagreement of networks do to the error of a distance."""

import math

import pytest
import torch

from analysis.estimate import Estimate
from analysis.realism.feature_spaces import over_networks
from analysis.realism.frechet import FeatureMoments, squared_frechet


def estimate(value: float, error: float, *flags: str) -> Estimate:
    return Estimate(value, error, 100, 200, flags=flags)


def test_one_network_is_as_it_was():
    one = estimate(3.0, 0.5, "biased")
    assert over_networks([one]) is one


def test_networks_that_agree_add_no_error():
    assert over_networks([estimate(3.0, 0.5)] * 4) == estimate(3.0, 0.5)


@pytest.mark.parametrize("factor", [1.5, 2.0, 5.0])
def test_a_space_whose_scale_is_larger_adds_the_known_amount(factor):
    """Features times √c multiply F and its error by c: of the two the mean is F(1 + c)/2, with F²(c − 1)²/4 added."""
    x, y = torch.randn(2, 600, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = y + 1
    plain, larger = (
        squared_frechet(FeatureMoments(scale * x), FeatureMoments(scale * y)).extrapolated
        for scale in (1.0, math.sqrt(factor))
    )
    both = over_networks([plain, larger])
    assert both.value == pytest.approx(plain.value * (1 + factor) / 2)
    images = plain.standard_error**2 * (1 + factor**2) / 2
    assert both.standard_error**2 == pytest.approx(images + (plain.value * (factor - 1) / 2) ** 2)


def test_error_is_that_of_the_mean_over_random_networks():
    """F_k = 10 + 2 u_k + v with u of the networks and v of the images, both standard normal: the mean of five has the
    variance 4/5 + 1. Over 4,000 repetitions the mean of the squared errors is that to 5 standard errors."""
    generator = torch.Generator().manual_seed(1)
    merged = []
    for _ in range(4_000):
        networks, images = torch.randn(5, generator=generator), torch.randn((), generator=generator)
        merged.append(over_networks([estimate(float(10 + 2 * u + images), 1.0) for u in networks]))
    errors = torch.tensor([each.standard_error**2 for each in merged])
    values = torch.tensor([each.value for each in merged])
    assert float(errors.mean()) == pytest.approx(1.8, abs=0.05)
    assert float(values.var()) == pytest.approx(1.8, abs=5 * 1.8 * math.sqrt(2 / 4_000))


def test_a_refusal_stands_and_flags_are_kept():
    refused = Estimate.refused("too few")
    assert over_networks([estimate(1.0, 0.1), refused]) is refused
    assert over_networks([estimate(1.0, 0.1, "a"), estimate(1.0, 0.1, "b")]).flags == ("a", "b")
