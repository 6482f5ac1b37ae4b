"""Kernel distance against sums over all pairs, moments, and repetitions."""

import itertools
import math

import pytest
import torch

from analysis import mean_discrepancy
from analysis.realism.kernel_distance import squared_kernel_distance


def normal(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(x: torch.Tensor, y: torch.Tensor) -> float:
    return (float(x @ y) / len(x) + 1) ** 3


@pytest.mark.parametrize("pairs_per_block", [1, 20, 2**22])
def test_sum_over_pairs(pairs_per_block, monkeypatch):
    monkeypatch.setattr(mean_discrepancy, "PAIRS_PER_BLOCK", pairs_per_block)
    x, y = normal(7, 3, 0), normal(7, 3, 1) + 0.5
    pairs = list(itertools.permutations(range(7), 2))
    terms = [kernel(x[i], x[j]) + kernel(y[i], y[j]) - kernel(x[i], y[j]) - kernel(y[i], x[j]) for i, j in pairs]
    estimate = squared_kernel_distance(x, y)
    assert estimate.value == pytest.approx(sum(terms) / len(pairs), rel=1e-12)
    assert (estimate.n, estimate.bound) == (7, "unbiased")


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 0.95, 1.5), (0.7, 0.8, 1.2)])
def test_unbiased_for_moments_with_an_honest_error(shift, low, high):
    """One feature: MMD² = (Δ E x³)² + 3 (Δ E x²)² + 3 (Δ E x)²; 400 repetitions of 60 rows."""
    expected = (shift**3 + 3 * shift) ** 2 + 3 * shift**4 + 3 * shift**2
    estimates = [squared_kernel_distance(normal(60, 1, s) + shift, normal(60, 1, s + 1_000)) for s in range(400)]
    values = torch.tensor([e.value for e in estimates], dtype=torch.float64)
    # Detects a bias of five standard errors of the mean of 400.
    assert abs(float(values.mean()) - expected) < 5 * float(values.std()) / math.sqrt(400)
    typical = torch.tensor([e.standard_error for e in estimates]).square().mean().sqrt()
    # The kernel's heavy tails leave the spread of 400 repetitions known to some 7 %.
    assert low < float(typical / values.std()) < high


def test_invariances():
    x, y = normal(20, 4, 0), normal(20, 4, 1) + 1
    value = squared_kernel_distance(x, y).value
    rotation = torch.linalg.qr(normal(4, 4, 2)).Q
    order = torch.randperm(4, generator=torch.Generator().manual_seed(3))
    for left, right in ((y, x), (x[:, order], y[:, order]), (x @ rotation, y @ rotation), (x.flip(0), y.flip(0))):
        assert squared_kernel_distance(left, right).value == pytest.approx(value, rel=1e-10)
    identical = squared_kernel_distance(x, x)
    assert (identical.value, identical.standard_error) == (0.0, 0.0)


def test_what_it_refuses():
    assert squared_kernel_distance(normal(4, 2), normal(4, 2, 1)).is_refused
    with pytest.raises(ValueError, match="one shape"):
        squared_kernel_distance(normal(6, 2), normal(7, 2))
