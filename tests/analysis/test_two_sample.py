"""Two-sample distances between Gaussians against closed forms, and their refusals."""

import math

import pytest
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression

from analysis.two_sample import (
    _donsker_varadhan,
    classifier_test,
    median_bandwidth,
    nearest_neighbour_kl,
    squared_mmd,
    squared_sliced_wasserstein,
)


def samples(num: int, dim: int, shift: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws of N(shift·1, I) and of N(0, I)."""
    noise = torch.randn(2, num, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return noise[0] + shift, noise[1]


def gaussian_mmd(dim: int, shift: float, bandwidth: float) -> float:
    """E k of two standard normals at a distance: (h²/(h² + 2))^{D/2} exp(−‖a − b‖²/2(h² + 2))."""
    spread = bandwidth**2 + 2
    return 2 * (bandwidth**2 / spread) ** (dim / 2) * (1 - math.exp(-dim * shift**2 / (2 * spread)))


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_mmd_of_normals(shift):
    x, y = samples(800, 3, shift)
    estimate = squared_mmd(x, y, bandwidth=1.5)
    # Five standard errors are 0.005 at shift 0 and 0.03 at shift 0.5, where the truth is 0.07.
    assert 5 * estimate.standard_error < 0.05
    assert abs(estimate.value - gaussian_mmd(3, shift, 1.5)) < 5 * estimate.standard_error


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 1.0, 1.4), (0.5, 0.85, 1.15)])
def test_mmd_standard_error_is_the_spread_over_repetitions(shift, low, high):
    estimates = [squared_mmd(*samples(60, 2, shift, seed), bandwidth=1.2) for seed in range(400)]
    spread = torch.tensor([estimate.value for estimate in estimates]).std()
    typical = torch.tensor([estimate.standard_error for estimate in estimates]).square().mean().sqrt()
    # The spread of 400 repetitions is known to 3.5 %: four such errors, and a conservative null.
    assert low < float(typical / spread) < high


def test_median_bandwidth():
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]])
    assert median_bandwidth(x, y) == 2.0


def test_sliced_wasserstein_of_normals():
    shift, dim = 2.0, 4
    x, y = samples(20_000, dim, shift)
    estimate = squared_sliced_wasserstein(x, y, torch.Generator().manual_seed(1), num_projections=200)
    # SW² = ‖shift‖²/D = 4; batches of 2,000 bias it by under 0.02, directions of 10 × 200 err by 0.06.
    assert estimate.bound == "upper"
    assert estimate.n == 10
    assert 5 * estimate.standard_error < 0.8
    assert abs(estimate.value - shift**2) < 5 * estimate.standard_error
    null = squared_sliced_wasserstein(*samples(20_000, dim, 0.0), torch.Generator().manual_seed(1))
    assert 0 < null.value < 0.02


def test_classifier_reaches_the_bayes_accuracy():
    x, y = samples(4_000, 2, 1.0)
    test = classifier_test(x, y, LogisticRegression(), torch.Generator().manual_seed(0))
    distance = math.sqrt(2)
    assert abs(test.accuracy.value - stats.norm.cdf(distance / 2)) < 0.03
    assert test.accuracy.standard_error == pytest.approx(math.sqrt(0.76 * 0.24 / 4_000), rel=0.05)
    assert abs(test.auc.value - stats.norm.cdf(distance / math.sqrt(2))) < 0.03
    # The true KL is 1 nat and the bound is tight for a logistic model of two normals.
    assert abs(test.kl.value - 1.0) < 5 * test.kl.standard_error
    assert 5 * test.kl.standard_error < 0.5
    assert (test.kl.bound, test.kl.flags) == ("consistent", ())


def test_classifier_kl_is_refused_at_its_ceiling():
    x, y = samples(200, 2, 8.0)
    test = classifier_test(x, y, LogisticRegression(C=1e4), torch.Generator().manual_seed(0))
    assert test.accuracy.value == 1.0
    assert "saturated" in test.auc.flags
    assert test.kl.is_refused


def test_equal_samples_are_not_told_apart():
    test = classifier_test(*samples(2_000, 3, 0.0), LogisticRegression(), torch.Generator().manual_seed(0))
    assert abs(test.accuracy.value - 0.5) < 5 * test.accuracy.standard_error
    assert abs(test.auc.value - 0.5) < 5 * test.auc.standard_error


def test_nearest_neighbour_kl():
    x, y = samples(4_000, 2, 1.0)
    estimate = nearest_neighbour_kl(x, y)
    # KL = 1 nat; five standard errors are 0.15.
    assert abs(estimate.value - 1.0) < 0.15
    assert nearest_neighbour_kl(*samples(50, 11, 1.0)).is_refused
    assert nearest_neighbour_kl(x[:20].repeat(10, 1), y).is_refused


def test_samples_must_match():
    x, y = samples(20, 2, 0.0)
    with pytest.raises(ValueError, match="one shape"):
        squared_mmd(x, y[:10], 1.0)
    with pytest.raises(ValueError, match="batches"):
        squared_sliced_wasserstein(x[:5], y[:5], torch.Generator())


def test_what_has_no_answer_is_refused_with_the_reason():
    equal, few = torch.zeros(40, 3), torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert "without width" in squared_mmd(equal, equal, median_bandwidth(equal, equal)).flags[0]
    assert "needs more rows" in nearest_neighbour_kl(few, few + 1.0).flags[0]
    assert not nearest_neighbour_kl(*torch.randn(2, 8, 2, generator=torch.Generator().manual_seed(0))).is_refused


def test_a_ratio_that_few_draws_carry_is_flagged_and_no_bound():
    """Donsker and Varadhan's value lies above the divergence on average: by the exact log-ratio of N(a, 1) and N(0, 1)
    on 250 draws of each."""
    generator, away = torch.Generator().manual_seed(0), 2.8
    values = []
    for _ in range(200):
        x, y = torch.randn(2, 250, generator=generator, dtype=torch.float64)
        found = _donsker_varadhan(*(away * z - away**2 / 2 for z in (x + away, y)))
        assert found.bound == "consistent"
        values.append(found)
    above = torch.tensor([each.value for each in values if not each.is_refused]).mean() - away**2 / 2
    assert above > 0.05
    assert any(flag.startswith("unreliable") for each in values for flag in each.flags)
    mild = _donsker_varadhan(*(0.3 * z - 0.3**2 / 2 for z in (x + 0.3, y)))
    assert mild.flags == ()
