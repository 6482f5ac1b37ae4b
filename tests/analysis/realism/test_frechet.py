"""Fréchet distance against its closed form, its invariances, its bias and coverage over replications, its refusals."""

import math

import pytest
import torch

from analysis.realism.frechet import FeatureMoments, FrechetDistance, squared_frechet


def normal(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whitened(num: int, dim: int, seed: int = 0) -> torch.Tensor:
    """Rows whose sample mean is exactly 0 and sample covariance exactly I."""
    x = normal(num, dim, seed)
    x -= x.mean(0)
    return torch.linalg.solve_triangular(torch.linalg.cholesky(x.T @ x / (num - 1)), x.T, upper=False).T


def distance(x: torch.Tensor, y: torch.Tensor) -> FrechetDistance:
    return squared_frechet(FeatureMoments(x), FeatureMoments(y))


def test_closed_form_of_commuting_covariances():
    sd_x, sd_y, shift = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.5, 0.7], [0.3, -1.0, 2.0]], dtype=torch.float64)
    rotation = torch.linalg.qr(normal(3, 3, 5)).Q
    estimate = distance(whitened(50, 3, 0) * sd_x @ rotation, (whitened(70, 3, 1) * sd_y + shift) @ rotation).plug_in
    expected = float((shift.square() + (sd_x - sd_y).square()).sum())
    assert estimate.value == pytest.approx(expected, rel=1e-12)
    assert (estimate.n, estimate.num_draws, estimate.bound) == (50, 120, "consistent")
    assert distance(normal(50, 3), normal(70, 3)).extrapolated.bound == "unbiased"


def test_covariances_that_do_not_commute():
    """tr(C₁C₂)^½ of 2 × 2 matrices is √(tr C₁C₂ + 2√(det C₁C₂))."""
    left, right = torch.tensor([[1.0, 0.0], [2.0, 1.0]]).double(), torch.tensor([[3.0, 1.0], [-1.0, 0.5]]).double()
    product = left @ left.T @ right @ right.T
    root_trace = (product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt()
    expected = left.square().sum() + right.square().sum() - 2 * root_trace
    estimate = distance(whitened(40, 2, 0) @ left.T, whitened(40, 2, 1) @ right.T).plug_in
    assert estimate.value == pytest.approx(float(expected), rel=1e-12)


def test_invariances():
    x, y = normal(64, 4, 0) * torch.arange(1, 5), normal(64, 4, 1) + 1
    value = distance(x, y)
    rotation = torch.linalg.qr(normal(4, 4, 2)).Q
    order = torch.randperm(4, generator=torch.Generator().manual_seed(3))
    constant = torch.ones(64, 2)
    for left, right in (
        (y, x),
        (x[:, order], y[:, order]),
        (x @ rotation, y @ rotation),
        (x + 1e3, y + 1e3),
        (torch.cat([x, constant], 1), torch.cat([y, constant], 1)),
    ):
        other = distance(left, right)
        assert other.plug_in.value == pytest.approx(value.plug_in.value, rel=1e-9)
        # Directions without variance have eigenvalues of rounding, times the groups.
        assert other.extrapolated.value == pytest.approx(value.extrapolated.value, rel=1e-5)
        assert other.extrapolated.standard_error == pytest.approx(value.extrapolated.standard_error, rel=1e-6)
    assert distance(x.flip(0), y).plug_in.value == pytest.approx(value.plug_in.value, rel=1e-9)
    assert distance(x, x.flip(0)).plug_in.value == pytest.approx(0.0, abs=1e-10)


def test_moments_without_groups_are_those_of_the_rows_that_remain():
    x = normal(53, 3) + 5
    means, covariances = FeatureMoments(x).without_groups
    for group in range(8):
        rest = x[torch.arange(53) % 8 != group]
        assert torch.allclose(means[group], rest.mean(0), rtol=1e-12)
        assert torch.allclose(covariances[group], rest.T.cov(), rtol=1e-12)


def test_error_is_that_of_a_mean_where_only_means_differ_along_one_axis():
    """Of far means, F is the square of their difference: the error is 2 |m₁ − m₂| that of the difference."""
    x, y = normal(900, 2, 0), normal(400, 2, 1) + torch.tensor([50.0, 0.0])
    expected = 2 * float((y - x[:400]).mean(0)[0]) * math.sqrt(float(x[:, 0].var() / 900 + y[:, 0].var() / 400))
    assert distance(x, y).extrapolated.standard_error == pytest.approx(expected, rel=0.02)


def replications(dim: int, num: int, separation: float, times: int) -> tuple[float, torch.Tensor]:
    """The true distance, and (value, standard error) ``(times, 2)`` of samples of N(0, I) and N(m, LLᵀ)."""
    generator = torch.Generator().manual_seed(dim * num)
    rotation = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64)).Q
    scales = 1 + separation * torch.linspace(-0.5, 1, dim, dtype=torch.float64)
    offset = torch.full((dim,), 2 * separation / math.sqrt(dim), dtype=torch.float64)
    root = rotation * scales
    found = []
    for _ in range(times):
        x, y = (torch.randn(num, dim, generator=generator, dtype=torch.float64) for _ in range(2))
        estimate = distance(x, y @ root.T + offset).extrapolated
        found.append((estimate.value, estimate.standard_error))
    return float(offset.square().sum() + (1 - scales).square().sum()), torch.tensor(found, dtype=torch.float64)


def judge(true: float, found: torch.Tensor, least: float, most: float) -> None:
    """Coverage of the 95 % interval within its range, and a bias within 4 errors of the mean, or 1 % of the value."""
    values, errors = found.T
    assert least <= float(((values - true).abs() <= 1.96 * errors).double().mean()) <= most
    assert abs(float(values.mean()) - true) < 4 * float(values.std()) / math.sqrt(len(values)) + 0.01 * true


@pytest.mark.parametrize("separation", [0.0, 1.0])
def test_intervals_cover_and_means_are_true(separation):
    """400 replications: coverage is known to 0.011, four of which are allowed."""
    judge(*replications(8, 200, separation, 400), 0.905, 0.99)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "number", "least", "most"), [(16, 2_000, 0.93, 0.97), (64, 500, 0.91, 0.985)])
def test_intervals_of_separated_laws_cover(dim, number, least, most):
    """Coverage is known to 0.005 and 0.01, some four of which are allowed."""
    judge(*replications(dim, 500, 1.0, number), least, most)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "number", "least", "most"), [(16, 500, 0.92, 0.98), (64, 200, 0.90, 0.995)])
def test_intervals_of_many_images_of_separated_laws_cover(dim, number, least, most):
    """Four times as many images: coverage is known to 0.01 and 0.015, some three of which are allowed."""
    judge(*replications(dim, 2_000, 1.0, number), least, most)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "number", "least"), [(16, 1_000, 0.92), (64, 300, 0.90)])
def test_equal_laws_have_no_distance_on_average(dim, number, least):
    """Errors may be too wide here, where the distance is a difference of pairs and no sum; four standard errors."""
    judge(*replications(dim, 500, 0.0, number), least, 1.0)


def test_bias_is_gone():
    """Equal laws: the whole plug-in value is bias."""
    estimate = distance(normal(400, 20, 0), normal(400, 20, 1))
    assert estimate.plug_in.value > 5 * estimate.plug_in.standard_error
    assert abs(estimate.extrapolated.value) < 3 * estimate.extrapolated.standard_error


def test_too_few_rows_are_refused():
    estimate = distance(normal(9, 4), normal(50, 4))
    assert estimate.extrapolated.is_refused
    assert estimate.plug_in.is_refused
    assert "4 features need 10 rows, and there are 9" in str(estimate.plug_in)
    assert not distance(normal(10, 4), normal(50, 4)).extrapolated.is_refused
