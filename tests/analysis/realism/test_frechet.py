"""Fréchet distance against its closed form, its invariances, and its refusals."""

import pytest
import torch

from analysis.realism.frechet import squared_frechet


def normal(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whitened(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    """Rows whose sample mean is exactly 0 and sample covariance exactly I."""
    x = normal(num, dim, seed)
    x -= x.mean(0)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(x.T @ x / (num - 1)), x.T, upper=False).T


def distance(x: torch.Tensor, y: torch.Tensor, num_resamples: int = 2):
    return squared_frechet(x, y, torch.Generator().manual_seed(0), num_resamples)


def test_closed_form_of_commuting_covariances():
    sd_x, sd_y, shift = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.5, 0.7], [0.3, -1.0, 2.0]], dtype=torch.float64)
    rotation = torch.linalg.qr(normal(3, 3, 5)).Q
    estimate = distance(whitened(50, 3, 0) * sd_x @ rotation, (whitened(70, 3, 1) * sd_y + shift) @ rotation)
    expected = float((shift.square() + (sd_x - sd_y).square()).sum())
    assert estimate.value == pytest.approx(expected, rel=1e-12)
    assert (estimate.n, estimate.num_draws, estimate.bound) == (50, 120, "consistent")


def test_covariances_that_do_not_commute():
    """tr(C₁C₂)^½ of 2 × 2 matrices is √(tr C₁C₂ + 2√(det C₁C₂))."""
    left, right = torch.tensor([[1.0, 0.0], [2.0, 1.0]]).double(), torch.tensor([[3.0, 1.0], [-1.0, 0.5]]).double()
    product = left @ left.T @ right @ right.T
    root_trace = (product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt()
    expected = left.square().sum() + right.square().sum() - 2 * root_trace
    estimate = distance(whitened(40, 2, 0) @ left.T, whitened(40, 2, 1) @ right.T)
    assert estimate.value == pytest.approx(float(expected), rel=1e-12)


def test_invariances():
    x, y = normal(60, 4, 0) * torch.arange(1, 5), normal(60, 4, 1) + 1
    value = distance(x, y).value
    rotation = torch.linalg.qr(normal(4, 4, 2)).Q
    order = torch.randperm(4, generator=torch.Generator().manual_seed(3))
    for left, right in (
        (y, x),
        (x.flip(0), y),
        (x[:, order], y[:, order]),
        (x @ rotation, y @ rotation),
        (x + 1e3, y + 1e3),
    ):
        assert distance(left, right).value == pytest.approx(value, rel=1e-9)
    padded = distance(torch.cat([x, torch.ones(60, 2)], 1), torch.cat([y, torch.ones(60, 2)], 1))
    assert padded.value == pytest.approx(value, rel=1e-9)
    assert distance(x, x.flip(0)).value == pytest.approx(0.0, abs=1e-10)


def test_standard_error_is_the_spread_over_repetitions():
    estimates = [distance(normal(200, 2, s), normal(200, 2, s + 1_000) * 1.5 + 1, 50) for s in range(200)]
    spread = torch.tensor([e.value for e in estimates]).std()
    typical = torch.tensor([e.standard_error for e in estimates]).mean()
    # The spread of 200 repetitions is known to 5 %: four such errors.
    assert 0.8 < float(typical / spread) < 1.2


def test_bias_is_flagged_and_estimated():
    """Equal laws: the whole value is bias."""
    estimate = distance(normal(400, 20, 0), normal(400, 20, 1), 30)
    assert estimate.value > 5 * estimate.standard_error
    (flag,) = estimate.flags
    prefix = "biased upward by about "
    assert flag.startswith(prefix)
    assert float(flag.removeprefix(prefix)) == pytest.approx(estimate.value, rel=0.3)
    assert distance(normal(4_000, 2, 0), normal(4_000, 2, 1) + 3, 30).flags == ()


def test_generator_decides_the_error_alone():
    x, y = normal(30, 2, 0), normal(30, 2, 1)
    first, again = (squared_frechet(x, y, torch.Generator().manual_seed(4)) for _ in range(2))
    other = squared_frechet(x, y, torch.Generator().manual_seed(5))
    assert first == again
    assert first.value == other.value
    assert first.standard_error != other.standard_error


def test_singular_covariance_is_refused():
    estimate = distance(normal(4, 4), normal(50, 4))
    assert estimate.is_refused
    assert "4 features from 4 rows" in str(estimate)
    assert not distance(normal(5, 4), normal(50, 4)).is_refused
