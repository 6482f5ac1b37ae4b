"""Importance-weighted bounds against the linear-Gaussian VAE, whose log p(x) and weights are known."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from arviz_stats.base import array_stats
from scipy import stats
from torch.distributions import Independent, Normal

from analysis.likelihood.importance import importance_bounds, log_importance_weights, pareto_shape
from models.linear import LinearGaussianVAE

SIZES = (1, 5, 50, 500)


@pytest.fixture(scope="module")
def vae() -> LinearGaussianVAE:
    return LinearGaussianVAE.random(
        3, 6, gain=2.0, noise=0.7, generator=torch.Generator().manual_seed(0)
    ).requires_grad_(False)


@pytest.fixture(scope="module")
def images(vae) -> torch.Tensor:
    return vae.simulate(200, torch.Generator().manual_seed(1))


def log_joint(vae, images, z):
    flat = z.flatten(0, 1)
    log_prior, likelihood = vae.prior().log_prob(flat), vae.likelihood(flat)
    return (log_prior + likelihood.log_prob(images.expand(len(z), -1, -1).flatten(0, 1))).unflatten(0, z.shape[:2])


def weights(vae, images, *, spread=1.0, num_draws=2_000, seed=2):
    with torch.no_grad():
        exact = vae.posterior(images).base_dist
        proposal = Independent(Normal(exact.loc, spread * exact.scale), 1)
    return log_importance_weights(
        partial(log_joint, vae, images), proposal, num_draws, torch.Generator().manual_seed(seed)
    )


def test_exact_guide_has_weights_without_variance(vae, images):
    bounds = importance_bounds([weights(vae, images)], SIZES)
    truth = vae.marginal().log_prob(images)
    assert torch.allclose(bounds.bounds, truth[:, None].expand(-1, len(SIZES)), atol=1e-9, rtol=0)
    assert torch.allclose(bounds.effective_draws, torch.tensor(2_000.0, dtype=torch.float64))
    assert (bounds.tail_shape == -math.inf).all()
    estimate = bounds.estimate(50)
    assert (estimate.bound, estimate.n, estimate.num_draws, estimate.flags) == ("lower", 200, 400_000, ())
    assert estimate.standard_error == pytest.approx(float(truth.std()) / math.sqrt(200), rel=1e-6)
    assert bounds.bias(1).value == pytest.approx(0.0, abs=1e-9)


def test_bounds_of_a_wrong_guide_rise_to_log_evidence(vae, images):
    bounds = importance_bounds([weights(vae, images, spread=1.5)], SIZES)
    truth = vae.marginal().log_prob(images)
    # KL(q ‖ posterior) at σ·1.5 is 3 (1.25/2 − ln 1.5) = 0.66 nats; five errors of the paired gap are below 0.03.
    first = bounds.per_image(1) - truth
    assert float(first.mean()) == pytest.approx(-3 * (1.25 / 2 - math.log(1.5)), abs=0.03)
    for smaller, larger in pairwise(SIZES):
        assert bounds.gain(smaller, larger).value > -5 * bounds.gain(smaller, larger).standard_error
    assert bounds.gain(1, 5).value > 0.3
    last = (bounds.per_image(500) - truth).mean()
    assert abs(float(last)) < 0.01
    assert not bounds.unreliable.any()


def test_bounds_of_some_images_are_extended_to_all(vae):
    """To the truth exactly by the exact guide; else without bias, and with the error that is stated."""
    generator, some, every, size = torch.Generator().manual_seed(3), 40, 200, 24
    estimates, truths = [], []
    for repetition in range(300):
        images = vae.simulate(every, generator)
        rows = torch.randperm(every, generator=generator)[:some]
        found = []
        for spread in (1.0, 1.5):
            bounds = importance_bounds([weights(vae, images[rows], spread=spread, num_draws=size)], (1, size))
            singles = weights(vae, images, spread=spread, num_draws=1, seed=repetition + 10)[:, 0]
            found.append(bounds.extended(size, singles, rows))
        truths.append(float(vae.marginal().log_prob(images).mean()))
        exact, estimate = found
        assert exact.value == pytest.approx(truths[-1], abs=1e-9)
        estimates.append(estimate)
    assert {(e.n, e.num_draws, e.bound) for e in estimates} == {(some, some * size + every, "lower")}
    values = torch.tensor([e.value for e in estimates])
    stated = torch.tensor([e.standard_error for e in estimates]).square().mean().sqrt()
    assert float(values.std() / stated) == pytest.approx(1, abs=0.17)  # four errors of 1/√(2·300)
    lacks = values - torch.tensor(truths)
    variance = (1.5**2 / math.sqrt(2 * 1.5**2 - 1)) ** 3 - 1
    assert float(lacks.mean()) == pytest.approx(-variance / (2 * size), abs=4 * float(lacks.std()) / 300**0.5)
    assert float(stated) < 0.7 * bounds.estimate(size).standard_error
    one = importance_bounds([weights(vae, images[:1], num_draws=size)], (1, size))
    assert math.isnan(one.extended(size, singles[:1], torch.tensor([0])).standard_error)
    every_one = importance_bounds([weights(vae, images, spread=1.5, num_draws=size)], (1, size))
    assert every_one.extended(size, singles, torch.arange(every)).standard_error > 0
    singles[3] = -math.inf
    assert bounds.extended(size, singles, rows).is_refused
    with pytest.raises(ValueError, match="expected one of the sizes"):
        importance_bounds([weights(vae, images[rows], num_draws=50)], (5, 50)).extended(50, singles, rows)


def test_bias_is_var_over_two_k_p_squared(vae, images):
    """E w²/p² is one integral per dimension at σ·1.5: 2.25/√(2·2.25 − 1)."""
    bounds = importance_bounds([weights(vae, images, spread=1.5, num_draws=5_000)], (1, 20, 50))
    variance = (1.5**2 / math.sqrt(2 * 1.5**2 - 1)) ** 3 - 1
    assert float(bounds.relative_variance.mean()) == pytest.approx(variance, rel=0.02)
    assert bounds.bias(50).value == pytest.approx(-variance / 100, rel=0.02)
    assert bounds.bias(50).bound == "consistent"
    gap = (bounds.per_image(20) - vae.marginal().log_prob(images)).mean()
    # The next order is O(1/K²); five errors of the mean gap are 0.004.
    assert float(gap) == pytest.approx(bounds.bias(20).value, abs=0.005)


def test_too_narrow_guide_is_flagged(vae, images):
    """At σ·0.4 a weight exp(a|ε|²), a = (1 − 0.16)/2, has tail index 1 − 0.16 = 0.84 in each dimension."""
    bounds = importance_bounds([weights(vae, images, spread=0.4)], SIZES)
    share = bounds.unreliable_share()
    assert share.value > 0.5
    assert share.n == len(images)
    assert f"for {share.value:.2%} of images" in bounds.estimate(500).flags[0]
    assert float(bounds.tail_shape.median()) > 0.7
    assert bounds.estimate(500).value < float(vae.marginal().log_prob(images).mean())
    assert bounds.bias(1).is_refused


def test_pareto_shape_is_arvizs_and_finds_the_truth():
    rng = np.random.default_rng(0)
    for shape in (0.2, 0.5, 0.9):
        log_weights = np.log(stats.genpareto.rvs(shape, size=(3, 4_000), random_state=rng))
        fitted = pareto_shape(torch.from_numpy(log_weights)).numpy()
        assert fitted == pytest.approx(array_stats.psislw(-log_weights)[1], abs=1e-6)
        # 189 tail weights: the error of one fit is about (1 + k)/√189 = 0.14.
        assert fitted == pytest.approx(np.full(3, shape), abs=0.45)


@pytest.mark.parametrize(("constant", "factor"), [(700.0, 1), (-2_000.0, 1), (0.0, 2)])
def test_weights_may_be_scaled_and_duplicated(vae, images, constant, factor):
    log_weights = weights(vae, images[:5], spread=1.5, num_draws=500)
    once = importance_bounds([log_weights], (1, 500))
    again = importance_bounds([(log_weights + constant).repeat(1, factor)], (1, 500 * factor))
    assert torch.allclose(again.bounds, once.bounds + constant, atol=1e-9)
    assert torch.allclose(again.effective_draws, factor * once.effective_draws, rtol=1e-9)
    if factor == 1:
        assert torch.allclose(again.tail_shape, once.tail_shape, atol=1e-6)


def test_chunks_of_images_and_order_of_draws(vae, images):
    log_weights = weights(vae, images[:7], spread=1.5, num_draws=500)
    whole = importance_bounds([log_weights], (1, 500))
    parts = importance_bounds(log_weights.flip(1).split(3), (1, 500))
    for name in ("bounds", "effective_draws", "relative_variance", "tail_shape"):
        assert torch.allclose(getattr(parts, name), getattr(whole, name), atol=1e-9)


def test_groups_are_disjoint_and_of_the_size_asked():
    log_weights = torch.tensor([[1.0, 2.0, 4.0, 8.0, 100.0]], dtype=torch.float64).log()
    bounds = importance_bounds([log_weights], (2,)).per_image(2)
    assert float(bounds) == pytest.approx((math.log(1.5) + math.log(6.0)) / 2, abs=1e-12)


def test_seeds_are_honoured_and_the_global_generator_is_left_alone(vae, images, monkeypatch):
    state = torch.get_rng_state()
    first = weights(vae, images[:4], spread=1.5, num_draws=60)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, weights(vae, images[:4], spread=1.5, num_draws=60))
    assert not torch.equal(first, weights(vae, images[:4], spread=1.5, num_draws=60, seed=3))
    monkeypatch.setattr("analysis.likelihood.importance.ELEMENTS_PER_BLOCK", 24 * 4 * 3)
    blocked = weights(vae, images[:4], spread=1.0, num_draws=60)
    assert torch.allclose(blocked, vae.marginal().log_prob(images[:4])[:, None].expand(-1, 60), atol=1e-9)


def test_what_is_refused(vae, images):
    broken = torch.zeros(3, 100, dtype=torch.float64)
    broken[0, 0], broken[1] = math.nan, -math.inf
    bounds = importance_bounds([broken], (1, 100))
    assert bounds.estimate(100).is_refused
    assert "2 images" in str(bounds.estimate(100))
    few = importance_bounds([torch.randn(3, 10).double()], (1, 10))
    assert few.unreliable.all()
    assert few.estimate(10).flags
    with pytest.raises(ValueError, match="1 ≤ K ≤ S"):
        importance_bounds([torch.zeros(3, 10)], (1, 50))
    with pytest.raises(ValueError, match="at least one chunk"):
        importance_bounds([])
    with pytest.raises(ValueError, match="expected one of the sizes"):
        few.estimate(7)
    with pytest.raises(ValueError, match="float64"):
        log_importance_weights(
            lambda z: z.sum(-1).float(), vae.posterior(images[:2]), 4, torch.Generator().manual_seed(0)
        )
