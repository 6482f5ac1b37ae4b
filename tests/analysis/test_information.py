"""Rate, mutual information and surgery against exact oracles and metamorphic laws."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.divergence import kl_aggregate_to_prior
from analysis.draws import ComponentDraws, evaluate_component_draws, evaluate_held_out_draws
from analysis.estimate import Estimate
from analysis.information import (
    kl_standard_normal,
    marginal_kl_bracket,
    marginal_kl_lower,
    mutual_information,
    mutual_information_upper,
    rate,
)

EXACT = {"rtol": 0, "atol": 1e-10}


def standard_normal(dim: int) -> Independent:
    return Independent(Normal(torch.zeros(dim, dtype=torch.float64), torch.ones(dim, dtype=torch.float64)), 1)


def random_aggregate(num: int, dim: int, spread: float = 1.0, seed: int = 0) -> DiagonalAggregate:
    generator = torch.Generator().manual_seed(seed)
    loc = spread * torch.randn(num, dim, generator=generator, dtype=torch.float64)
    return DiagonalAggregate(InMemoryCodes(loc, 0.3 + torch.rand(num, dim, generator=generator, dtype=torch.float64)))


def evaluate(aggregate: DiagonalAggregate, num_draws: int, seed: int = 1) -> tuple[torch.Tensor, ComponentDraws]:
    z, component = aggregate.sample(num_draws, torch.Generator().manual_seed(seed))
    return z, evaluate_component_draws(aggregate, standard_normal(aggregate.latent_dim), z, component)


def within(estimate, truth: float, errors: float = 5.0) -> bool:
    return abs(estimate.value - truth) <= errors * estimate.standard_error


@pytest.mark.parametrize(("distance", "truth"), [(2.0, 0.336831), (4.0, 0.632720)])
def test_two_components(distance, truth):
    aggregate = DiagonalAggregate(
        InMemoryCodes(torch.tensor([[0.0], [distance]], dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64))
    )
    _, draws = evaluate(aggregate, 200_000)
    values = draws.integrands()["information"]
    # Per-draw error: five of them are 0.007 nats.
    error = float(values.std()) / math.sqrt(len(values))
    assert error < 2e-3
    assert abs(float(values.mean()) - truth) < 5 * error


def test_separated_mixture_bound():
    """0 ≤ ln N − I ≤ (1/N) Σ exp(−d²/8), up to five standard errors."""
    loc = 3.5 * torch.eye(5, dtype=torch.float64)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc)))
    _, draws = evaluate(aggregate, 50_000)
    values = math.log(5) - draws.integrands()["information"]
    gap, error = float(values.mean()), float(values.std()) / math.sqrt(len(values))
    bound = 4 * math.exp(-2 * 3.5**2 / 8)
    assert -5 * error <= gap <= bound + 5 * error
    assert gap > 10 * error


def test_surgery_holds_draw_by_draw():
    _, draws = evaluate(random_aggregate(20, 3), 500)
    sum_of_parts = mutual_information(draws).value + kl_aggregate_to_prior(draws).value
    assert rate(draws).value == pytest.approx(sum_of_parts, abs=1e-12)
    parts = draws.integrands()
    torch.testing.assert_close(parts["rate"], parts["information"] + parts["kl"], **EXACT)
    torch.testing.assert_close(parts["rate"], parts["information_upper"] + parts["kl_lower"], **EXACT)


def test_sampled_rate_agrees_with_closed_form():
    aggregate = random_aggregate(50, 4)
    z, component = aggregate.sample_per_image(400, torch.Generator().manual_seed(2))
    draws = evaluate_component_draws(aggregate, standard_normal(4), z, component)
    closed = kl_standard_normal(aggregate.codes.loc, aggregate.codes.scale).sum(1)
    residual = draws.integrands()["rate"] - closed[component]
    # Conditional on the images, the error is that of 20,000 draws: five of them are 0.06 nats.
    assert abs(float(residual.mean())) < 5 * float(residual.std()) / math.sqrt(len(residual))
    assert rate(draws).n == 50


def test_closed_form_rate_matches_torch_and_keeps_digits_near_the_prior():
    loc, scale = torch.tensor([[0.7, -0.2]]), torch.tensor([[1.3, 0.4]])
    prior = Normal(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
    expected = torch.distributions.kl_divergence(Normal(loc.double(), scale.double()), prior)
    torch.testing.assert_close(kl_standard_normal(loc, scale), expected, **EXACT)
    tiny = 1 + torch.full((1, 1), 1e-7, dtype=torch.float64)
    assert float(kl_standard_normal(torch.zeros(1, 1), tiny)) == pytest.approx(1e-14, rel=1e-6)


def test_linear_gaussian_population_is_bracketed():
    """Oracle 1: x = Wz + b + σε seen by its exact guide, data x ~ N(b + δ, S)."""
    generator = torch.Generator().manual_seed(0)
    dim, noise, num = 2, 0.8, 2_000
    weights = torch.linalg.qr(torch.randn(5, dim, generator=generator, dtype=torch.float64)).Q * torch.tensor(
        [1.5, 0.7]
    )
    shift = 0.4 * torch.randn(5, generator=generator, dtype=torch.float64)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    data_covariance = root @ root.T / 5 + torch.eye(5, dtype=torch.float64) / 2
    posterior_covariance = torch.linalg.inv(torch.eye(dim, dtype=torch.float64) + weights.T @ weights / noise**2)
    encoder = posterior_covariance @ weights.T / noise**2
    covariance, mean = encoder @ data_covariance @ encoder.T + posterior_covariance, encoder @ shift
    quadratic = torch.trace(covariance) + mean.square().sum() - dim
    true_rate = float(quadratic - posterior_covariance.logdet()) / 2
    true_information = float(covariance.logdet() - posterior_covariance.logdet()) / 2
    true_kl = float(quadratic - covariance.logdet()) / 2

    def encode(count: int) -> DiagonalAggregate:
        standard = torch.randn(count, 5, generator=generator, dtype=torch.float64)
        loc = (shift + standard @ torch.linalg.cholesky(data_covariance).T) @ encoder.T
        return DiagonalAggregate(
            InMemoryCodes(loc, posterior_covariance.diagonal().sqrt().expand(count, dim).contiguous())
        )

    train, held_out = encode(num), encode(num)
    z, component = train.sample_per_image(1, generator)
    draws = evaluate_component_draws(train, standard_normal(dim), z, component)
    z, component = held_out.sample_per_image(1, generator)
    fresh = evaluate_held_out_draws(train, held_out, standard_normal(dim), z, component)

    assert within(rate(draws), true_rate)
    assert within(rate(fresh), true_rate)
    assert within(Estimate.mean(kl_standard_normal(train.codes.loc, train.codes.scale).sum(1)), true_rate)
    information, bound = mutual_information(draws), mutual_information_upper(draws)
    divergence = marginal_kl_bracket(draws)
    for lower, upper, truth in [
        (information, bound, true_information),
        (divergence.lower, divergence.upper, true_kl),
        (mutual_information(draws), mutual_information_upper(fresh), true_information),
        (marginal_kl_lower(fresh), divergence.upper, true_kl),
    ]:
        assert (lower.bound, upper.bound) == ("lower", "upper")
        assert lower.value - 5 * lower.standard_error <= truth <= upper.value + 5 * upper.standard_error
        # At this rate 2,000 images pin the information: the ends differ by the finite N alone.
        assert abs(lower.value - truth) < 0.15
        assert abs(upper.value - truth) < 0.15
    assert information.value < bound.value
    assert divergence.lower.value < divergence.upper.value
    assert not information.flags


def test_one_image_has_no_information():
    _, draws = evaluate(random_aggregate(1, 3), 100)
    estimate = mutual_information(draws)
    assert estimate.value == pytest.approx(0.0, abs=1e-12)
    assert "saturated" in estimate.flags
    assert mutual_information_upper(draws).is_refused
    assert marginal_kl_lower(draws).is_refused


def test_duplicated_data_change_nothing_but_the_cap():
    aggregate = random_aggregate(10, 2, spread=50.0)
    doubled = DiagonalAggregate(InMemoryCodes(aggregate.codes.loc.repeat(2, 1), aggregate.codes.scale.repeat(2, 1)))
    z, draws = evaluate(aggregate, 300)
    twice = evaluate_component_draws(doubled, standard_normal(2), z, draws.unit)
    for name in ("rate", "information", "kl"):
        torch.testing.assert_close(draws.integrands()[name], twice.integrands()[name], **EXACT)
    # The cap rises by ln 2, so the saturated information of the separated images no longer reaches it.
    assert "saturated" in mutual_information(draws).flags
    assert "saturated" not in mutual_information(twice).flags
    assert math.log(twice.num_components) - math.log(draws.num_components) == pytest.approx(math.log(2))


def test_inert_dimensions_change_nothing():
    aggregate = random_aggregate(8, 2)
    z, draws = evaluate(aggregate, 200)
    inert = torch.zeros(8, 500, dtype=torch.float64)
    loc, scale = aggregate.codes.loc, aggregate.codes.scale
    padded = DiagonalAggregate(InMemoryCodes(torch.cat([loc, inert], 1), torch.cat([scale, inert + 1], 1)))
    noise = torch.randn(200, 500, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    wide = evaluate_component_draws(padded, standard_normal(502), torch.cat([z, noise], 1), draws.unit)
    for name, values in draws.integrands().items():
        torch.testing.assert_close(wide.integrands()[name], values, rtol=0, atol=1e-9)


def test_permutations_change_nothing():
    aggregate = random_aggregate(9, 4)
    z, draws = evaluate(aggregate, 200)
    images, dims = torch.randperm(9), torch.randperm(4)
    loc, scale = aggregate.codes.loc, aggregate.codes.scale
    shuffled = DiagonalAggregate(InMemoryCodes(loc[images][:, dims], scale[images][:, dims]))
    again = evaluate_component_draws(shuffled, standard_normal(4), z[:, dims], images.argsort()[draws.unit])
    for name, values in draws.integrands().items():
        torch.testing.assert_close(again.integrands()[name], values, **EXACT)


def test_collapsed_posterior_has_neither_information_nor_divergence():
    loc = torch.zeros(6, 3, dtype=torch.float64)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc)))
    _, draws = evaluate(aggregate, 100)
    values = [estimate(draws).value for estimate in (rate, mutual_information, kl_aggregate_to_prior)]
    assert values == pytest.approx([0, 0, 0], abs=1e-12)
    assert "saturated" not in mutual_information(draws).flags


def test_saturated_ends_say_so():
    loc = torch.zeros(4, 1, dtype=torch.float64)
    loc[:, 0] = torch.arange(4) * 20.0
    _, draws = evaluate(DiagonalAggregate(InMemoryCodes(loc, torch.ones_like(loc))), 400)
    assert "saturated" in mutual_information(draws).flags
    assert "saturated" in marginal_kl_bracket(draws).upper.flags
    assert "saturated" not in mutual_information_upper(draws).flags
    assert mutual_information(draws).value == pytest.approx(math.log(4), abs=1e-6)
