"""Precision, recall, density and coverage against brute force, exact expectations, and prdc's published figures."""

import math

import pytest
import torch

from analysis.geometry import distances
from analysis.realism import manifold as module
from analysis.realism.manifold import manifold, squared_ball_radii


def normal(num: int, dim: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def brute_force(samples: torch.Tensor, real: torch.Tensor, k: int) -> tuple[float, ...]:
    """The four definitions, with whole matrices of distances from differences."""

    def between(a, b):
        return (a[:, None] - b[None]).square().sum(-1).sqrt()

    radius, sample_radius = (between(a, a).sort(1).values[:, k] for a in (real, samples))
    distance = between(samples, real)
    return (
        float((distance < radius).any(1).double().mean()),
        float((distance < sample_radius[:, None]).any(0).double().mean()),
        float((distance < radius).double().sum(1).mean() / k),
        float((distance < radius).any(0).double().mean()),
    )


@pytest.mark.parametrize(("num", "num_real", "k"), [(60, 45, 1), (45, 60, 5), (30, 30, 3)])
@pytest.mark.parametrize("pairs_per_block", [50, 2**22])
def test_brute_force(num, num_real, k, pairs_per_block, monkeypatch):
    monkeypatch.setattr(distances, "PAIRS_PER_BLOCK", pairs_per_block)
    samples, real = normal(num, 4, 0) * 0.8 + 0.3, normal(num_real, 4, 1)
    result = manifold(samples, real, k)
    values = (result.precision.value, result.recall.value, result.density.value, result.coverage.value)
    assert values == pytest.approx(brute_force(samples, real, k), abs=1e-12)
    assert len(set(values)) == 4
    assert (result.precision.n, result.density.n) == (num, num)
    assert (result.recall.n, result.coverage.n) == (num_real, num_real)


def test_standard_errors_are_those_of_means():
    samples, real = normal(60, 4, 0) * 0.8 + 0.3, normal(45, 4, 1)
    result = manifold(samples, real)
    share = result.recall.value
    assert result.recall.standard_error == pytest.approx(math.sqrt(share * (1 - share) / 44), rel=1e-12)


def test_expectations_under_equal_laws():
    """E density = 1 and E coverage = 1 − Π (N − i)/(N + M − i), over 100 repetitions."""
    num, num_real, k = 60, 40, 3
    results = [manifold(normal(num, 3, s), normal(num_real, 3, s + 1_000), k) for s in range(100)]
    density = torch.tensor([result.density.value for result in results], dtype=torch.float64)
    coverage = torch.tensor([result.coverage.value for result in results], dtype=torch.float64)
    expected = 1 - math.prod((num_real - i) / (num_real + num - i) for i in range(1, k + 1))
    # Five standard errors are 0.08 and 0.02.
    assert abs(float(density.mean()) - 1) < 5 * float(density.std()) / 10 < 0.15
    assert abs(float(coverage.mean()) - expected) < 5 * float(coverage.std()) / 10 < 0.03


def test_invariances_and_roles():
    samples, real = normal(50, 4, 0) * 0.5, normal(50, 4, 1)
    result = manifold(samples, real)
    rotation = torch.linalg.qr(normal(4, 4, 2)).Q
    for left, right in ((samples @ rotation, real @ rotation), (samples.flip(0), real.flip(1).flip(1).flip(0))):
        other = manifold(left, right)
        assert other.precision.value == result.precision.value
        assert other.density.value == pytest.approx(result.density.value, abs=1e-12)
    swapped = manifold(real, samples)
    assert swapped.precision.value == result.recall.value
    assert result.precision.value > 0.9 > 0.6 > result.recall.value


def test_extremes():
    real = normal(40, 3, 0)
    identical, far = manifold(real, real), manifold(real + 100, real)
    assert (identical.precision.value, identical.recall.value, identical.coverage.value) == (1.0, 1.0, 1.0)
    assert [getattr(far, name).value for name in ("precision", "recall", "density", "coverage")] == [0.0] * 4


def test_too_few_rows_are_refused():
    result = manifold(normal(5, 2), normal(50, 2, 1), k=5)
    assert result.precision.is_refused
    assert result.coverage.is_refused
    assert not manifold(normal(6, 2), normal(50, 2, 1), k=5).recall.is_refused


@pytest.mark.slow
def test_figures_of_prdc():
    """Its README: two samples of 10,000 from N(0, I) in 1,000 dimensions, k = 5."""
    result = manifold(normal(10_000, 1_000, 0), normal(10_000, 1_000, 1))
    assert result.precision.value == pytest.approx(0.477, abs=0.03)
    assert result.recall.value == pytest.approx(0.471, abs=0.03)
    assert result.density.value == pytest.approx(1.06, abs=0.1)
    assert result.coverage.value == pytest.approx(0.97, abs=0.01)


def test_balls_that_are_known_are_not_computed_again(monkeypatch):
    samples, real = normal(40, 3), normal(50, 3, 1)
    known, expected = squared_ball_radii(real), manifold(samples, real)
    computed = []

    def counted(features, k):
        computed.append(features)
        return squared_ball_radii(features, k)

    monkeypatch.setattr(module, "squared_ball_radii", counted)
    assert manifold(samples, real, squared_radii=known) == expected
    assert [features is samples for features in computed] == [True]
