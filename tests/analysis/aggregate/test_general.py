"""General aggregate: the same as the diagonal one where both apply, and exact where only it does."""

import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from analysis.aggregate import DiagonalAggregate, GeneralAggregate, InMemoryCodes

NUM, SHAPE = 700, (2, 3)  # more than two blocks of components


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def codes() -> tuple[torch.Tensor, torch.Tensor]:
    loc = torch.randn(NUM, *SHAPE, generator=generator())
    return loc, 0.3 + torch.rand(NUM, *SHAPE, generator=generator(1))


@pytest.fixture
def pair(codes) -> tuple[DiagonalAggregate, GeneralAggregate]:
    loc, scale = codes
    general = GeneralAggregate(lambda rows: Independent(Normal(loc[rows], scale[rows]), 2), NUM, torch.device("cpu"))
    return DiagonalAggregate(InMemoryCodes(loc, scale)), general


def test_agrees_with_the_diagonal_aggregate(pair):
    diagonal, general = pair
    z, component = diagonal.sample(50, generator(2))
    assert (general.num_components, general.latent_shape, general.latent_dim) == (NUM, SHAPE, 6)
    # The diagonal kernel sums in single precision: a few 1e-6 nats.
    assert torch.allclose(general.log_prob(z), diagonal.log_prob(z), atol=1e-5)
    for ours, theirs in zip(general.log_prob_both(z, component), diagonal.log_prob_both(z, component), strict=True):
        assert ours.dtype == torch.float64
        assert torch.allclose(ours, theirs, atol=1e-5)
    ours, theirs = (aggregate.component_log_prob(z, component) for aggregate in (general, diagonal))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.allclose(general.mean, diagonal.mean)
    assert torch.allclose(general.marginal_variance, diagonal.marginal_variance)


def test_subsets_and_draws_know_their_components(pair):
    diagonal, general = pair
    rows = torch.tensor([650, 3, 300])
    z, _ = diagonal.sample(20, generator(3))
    assert torch.allclose(general.subset(rows).log_prob(z), diagonal.subset(rows).log_prob(z), atol=1e-5)
    draws, component = general.sample_per_image(4, generator(4), rows)
    assert component.tolist() == [650] * 4 + [3] * 4 + [300] * 4
    # Each draw lies within six scales of its own centre.
    assert (((draws - diagonal.codes.loc[component]) / diagonal.codes.scale[component]).abs() < 6).all()
    again, _ = general.sample_per_image(4, generator(4), rows)
    assert torch.equal(draws, again)
    assert not torch.equal(draws, general.sample_per_image(4, generator(5), rows)[0])


def test_drawing_leaves_the_global_random_state_alone(pair):
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    pair[1].sample(5, generator())
    assert torch.equal(torch.rand(2), expected)


def test_full_covariances_are_exact():
    """Two correlated components by hand: the density at a point and the moments of the mixture."""
    loc = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.float64)
    covariance = torch.tensor([[[1.0, 0.8], [0.8, 1.0]], [[2.0, -0.5], [-0.5, 0.5]]], dtype=torch.float64)
    general = GeneralAggregate(lambda rows: MultivariateNormal(loc[rows], covariance[rows]), 2, torch.device("cpu"))
    z = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    logs = MultivariateNormal(loc, covariance).log_prob(z)
    assert float(general.log_prob(z)) == pytest.approx(float(logs.logsumexp(0)) - math.log(2), abs=1e-12)
    assert float(general.log_prob_both(z, torch.tensor([1]))[1]) == pytest.approx(float(logs[0]), abs=1e-12)
    centred = loc - loc.mean(0)
    expected = centred.T @ centred / 2 + covariance.mean(0)
    assert torch.allclose(general.covariance(), expected)
    assert torch.allclose(general.marginal_variance, expected.diagonal())


def test_one_component_has_no_others():
    general = GeneralAggregate(
        lambda rows: Independent(Normal(torch.zeros(len(rows), 2), 1.0), 1), 1, torch.device("cpu")
    )
    total, others = general.log_prob_both(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
    assert float(total) == pytest.approx(-math.log(2 * math.pi), abs=1e-6)
    assert float(others) == -math.inf


def test_what_it_refuses(pair):
    with pytest.raises(ValueError, match="at least one component"):
        GeneralAggregate(lambda rows: None, 0, torch.device("cpu"))
    with pytest.raises(ValueError, match=r"z must be \(M, 2, 3\)"):
        pair[1].log_prob(torch.zeros(4, 6))
    with pytest.raises(ValueError, match="no closed form"):
        pair[1].covariance()
    with pytest.raises(ValueError, match="defined for diagonal normal posteriors"):
        pair[1].bubbles()


def test_densities_under_each_component_make_up_the_mixture(pair):
    for aggregate in pair:
        z, own = aggregate.sample(9, generator())
        logs = aggregate.log_prob_each(z)
        assert logs.shape == (9, NUM)
        mixture = logs.logsumexp(1) - math.log(NUM)
        torch.testing.assert_close(mixture, aggregate.log_prob(z), rtol=0, atol=1e-5)
        own_logs = logs.gather(1, own[:, None])[:, 0]
        torch.testing.assert_close(own_logs, aggregate.component_log_prob(z, own), rtol=0, atol=1e-9)


@pytest.mark.parametrize("num", [2, 5], ids=["N<D", "N>D"])
def test_draws_with_the_covariance_have_it_exactly(num):
    """Draws are linear in the noise: their coefficients A have AᵀA = C."""
    loc = torch.randn(num, 3, generator=generator(6), dtype=torch.float64)
    factor = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.3, -0.4, 0.5]], dtype=torch.float64)
    within = (factor @ factor.T).expand(num, 3, 3)
    aggregate = GeneralAggregate(lambda rows: MultivariateNormal(loc[rows], within[rows]), num, torch.device("cpu"))
    weights = torch.randn(num, num, generator=generator(), dtype=torch.float64)
    shared = aggregate.centred_normal_draws(torch.zeros(num, 3), generator())
    draws = [aggregate.centred_normal_draws(row.expand(num, 3), generator()) for row in torch.eye(3)]
    of_noise = torch.stack([draw[0] - shared[0] for draw in draws])
    of_weights = torch.linalg.solve(weights, shared)
    torch.testing.assert_close(of_noise.T @ of_noise + of_weights.T @ of_weights, aggregate.covariance())


@pytest.mark.parametrize("dim", [2, 6])
def test_roots_and_eigenvalues_are_those_of_the_covariance(pair, dim):
    codes = pair[0].codes
    few = (part.flatten(1)[:4, :dim].double() for part in (codes.loc, codes.scale))
    aggregate = DiagonalAggregate(InMemoryCodes(*few))
    root, values = aggregate.covariance_root(), aggregate.eigenvalues()
    torch.testing.assert_close(root @ root.T, aggregate.covariance())
    torch.testing.assert_close(values, aggregate.eigenvectors()[0])


def test_a_covariance_is_summed_in_blocks_of_columns_that_do_not_show(pair, monkeypatch):
    monkeypatch.setattr("analysis.aggregate.base.COLUMNS", 4)
    codes = pair[0].codes.loc.flatten(1).double()
    expected = torch.cov(codes.T, correction=0) + pair[0].codes.scale.flatten(1).double().square().mean(0).diag()
    covariance = pair[0].covariance()
    torch.testing.assert_close(covariance, expected)
    assert torch.equal(covariance, covariance.T)
