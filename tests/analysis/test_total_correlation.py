"""Total correlation: the exact split, a quadrature value and refusal of priors without marginals."""

import math

import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Independent, MultivariateNormal, Normal

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.draws import evaluate_component_draws
from analysis.information import kl_standard_normal
from analysis.total_correlation import dimensionwise_split, marginal_log_prob


def standard_normal(*shape: int) -> Independent:
    zeros = torch.zeros(shape, dtype=torch.float64)
    return Independent(Normal(zeros, torch.ones_like(zeros)), len(shape))


def two_component_information(distance: float) -> float:
    def integrand(z: float) -> float:
        own, other = stats.norm.pdf(z), stats.norm.pdf(z, distance)
        return own * math.log(2 * own / (own + other))

    return integrate.quad(integrand, -10, 10 + distance, limit=200)[0]


def test_quadrature_itself_gives_the_published_values():
    assert two_component_information(2.0) == pytest.approx(0.336831, abs=1e-6)
    assert two_component_information(4.0) == pytest.approx(0.632720, abs=1e-6)


def test_two_components_on_the_diagonal():
    """Both marginals hold I(2) nats of the label, the pair I(2√2): TC = 2 I(2) − I(2√2)."""
    loc = torch.tensor([[0.0, 0.0], [2.0, 2.0]], dtype=torch.float64)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc)))
    z, component = aggregate.sample(60_000, torch.Generator().manual_seed(0))
    draws = evaluate_component_draws(aggregate, standard_normal(2), z, component)
    values = draws.log_aggregate - marginal_log_prob(aggregate.codes.loc, aggregate.codes.scale, z).sum(1)
    # 60,000 draws: five standard errors are 0.01 nats.
    truth = 2 * two_component_information(2.0) - two_component_information(2 * math.sqrt(2))
    error = float(values.std()) / math.sqrt(len(values))
    assert 5 * error < 0.012
    assert abs(float(values.mean()) - truth) < 5 * error
    assert dimensionwise_split(aggregate, standard_normal(2), z, draws).total_correlation.value == pytest.approx(
        float(values.mean())
    )


def test_split_is_exact_for_a_shaped_latent():
    generator = torch.Generator().manual_seed(0)
    loc = torch.randn(30, 2, 3, generator=generator, dtype=torch.float64)
    aggregate = DiagonalAggregate(
        InMemoryCodes(loc, 0.5 + torch.rand(30, 2, 3, generator=generator, dtype=torch.float64))
    )
    z, component = aggregate.sample(200, generator)
    draws = evaluate_component_draws(aggregate, standard_normal(2, 3), z, component)
    split = dimensionwise_split(aggregate, standard_normal(2, 3), z, draws)
    total = split.total_correlation.value + split.dimensionwise_kl.value
    assert total == pytest.approx(float(draws.log_ratio.mean()), abs=1e-10)
    marginals = marginal_log_prob(loc, aggregate.codes.scale, z)
    assert marginals.shape == (200, 6)
    kl = (marginals + z.flatten(1).square() / 2 + math.log(2 * math.pi) / 2).mean(0)
    assert float(kl.sum()) == pytest.approx(split.dimensionwise_kl.value, abs=1e-10)
    assert split.total_correlation.n == len(component.unique())


def test_one_component_has_no_total_correlation():
    generator = torch.Generator().manual_seed(0)
    loc, scale = torch.tensor([[0.5, -1.0]], dtype=torch.float64), torch.tensor([[0.7, 1.2]], dtype=torch.float64)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, scale))
    z, component = aggregate.sample(4_000, generator)
    draws = evaluate_component_draws(aggregate, standard_normal(2), z, component)
    split = dimensionwise_split(aggregate, standard_normal(2), z, draws)
    assert split.total_correlation.value == pytest.approx(0.0, abs=1e-12)
    # Five standard errors of 4,000 draws are about 0.1 nats.
    kl = (marginal_log_prob(loc, scale, z) + z.square() / 2 + math.log(2 * math.pi) / 2).mean(0)
    torch.testing.assert_close(kl, kl_standard_normal(loc, scale)[0], rtol=0, atol=0.1)


def test_blocks_do_not_show(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    loc = torch.randn(37, 11, generator=generator, dtype=torch.float64)
    scale, z = torch.full_like(loc, 0.6), torch.randn(13, 11, generator=generator, dtype=torch.float64)
    whole = marginal_log_prob(loc, scale, z)
    direct = Normal(loc, scale).log_prob(z[:, None]).logsumexp(1) - math.log(37)
    torch.testing.assert_close(whole, direct, rtol=0, atol=1e-12)
    for elements in (1, 100, 13 * 37 * 3):
        monkeypatch.setattr("analysis.total_correlation.ELEMENTS_PER_BLOCK", elements)
        torch.testing.assert_close(marginal_log_prob(loc, scale, z), whole, rtol=0, atol=1e-12)


def test_a_prior_without_known_marginals_is_an_error():
    loc = torch.zeros(2, 2, dtype=torch.float64)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc)))
    z, component = aggregate.sample(5, torch.Generator().manual_seed(0))
    draws = evaluate_component_draws(aggregate, standard_normal(2), z, component)
    with pytest.raises(ValueError, match="factorised prior"):
        dimensionwise_split(aggregate, MultivariateNormal(torch.zeros(2), torch.eye(2)), z, draws)


def test_the_compiled_kernel_sums_what_tensors_sum(monkeypatch):
    """In single precision, of columns and components that fill no block, and of a point that all kernels miss."""
    monkeypatch.setattr("analysis.total_correlation.COLUMNS", 7)
    generator = torch.Generator().manual_seed(0)
    loc, z = torch.randn(37, 11, generator=generator), torch.randn(13, 11, generator=generator)
    scale = 0.1 + torch.rand(37, 11, generator=generator)
    z[3, 5] = 60.0
    expected = marginal_log_prob(loc.double(), scale.double(), z.double())
    # A kernel of single precision is known to a few 1e-7; the missed point is taken in float64.
    torch.testing.assert_close(marginal_log_prob(loc, scale, z), expected, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize(("num", "scale"), [(10_000, 0.1), (60_000, 1.0), (100, 0.001)])
def test_points_far_from_every_centre_have_their_density_however_many_centres_there_are(num, scale):
    """Kernels that single precision flushes leave a little each."""
    loc = torch.zeros(num, 1)
    found = marginal_log_prob(loc, torch.full_like(loc, scale), torch.full((1, 1), 40 * scale))
    exact = -(40**2) / 2 - math.log(scale) - math.log(2 * math.pi) / 2
    assert float(found) == pytest.approx(exact, rel=1e-5)
