"""Von Mises–Fisher: special functions against scipy, density, draws and gradients, KL, and the parts made of it."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor
from torch.distributions import kl_divergence
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_unflatten

from analysis.precision import log_prob_float64
from models import noise
from models.context import Context
from models.distributions import Sphere, UniformOnSphere, VonMisesFisher, log_area
from models.distributions.polar_angle import PolarAngle
from models.objectives.elbo import kl_method
from models.shapes import Shapes
from models.vae import VAE
from study.design.families import LIKELIHOODS, NETWORKS, OBJECTIVES, POSTERIORS, PRIORS
from study.run.training.state import State
from study.run.training.step import Batch, PureStep, noise_shapes

DIMS = [2, 3, 16, 128]
CONCENTRATIONS = torch.tensor([1e-3, 0.1, 1.0, 10.0, 100.0, 1e4, 1e5, 1e6], dtype=torch.float64)


def ratio(dim: int, kappa: np.ndarray | float) -> np.ndarray:
    """A_D(κ) from scipy."""
    return special.ive(dim / 2, kappa) / special.ive(dim / 2 - 1, kappa)


def distribution(dim: int, kappa: float, seed: int = 0) -> VonMisesFisher:
    generator = torch.Generator().manual_seed(seed)
    loc = torch.randn(dim, dtype=torch.float64, generator=generator)
    return VonMisesFisher(loc / loc.norm(), torch.tensor(kappa, dtype=torch.float64))


def context(latent_shape: tuple[int, ...]) -> Context:
    torch.manual_seed(0)
    return Context(Shapes(latent_shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(16,)))


def vae(latent_shape: tuple[int, ...] = (4,)) -> VAE:
    parts = context(latent_shape)
    posterior = POSTERIORS["von_mises_fisher"](parts)
    return VAE(PRIORS["hypersphere"](parts.with_posterior(posterior)), posterior, LIKELIHOODS["bernoulli"](parts))


@pytest.mark.parametrize("dim", [*DIMS, 1_000, 65_536])
def test_normaliser_and_moments_are_those_of_bessel_functions(dim):
    kappa, order = CONCENTRATIONS.numpy(), dim / 2 - 1
    angle = PolarAngle(dim, CONCENTRATIONS)
    with np.errstate(divide="ignore", invalid="ignore"):  # scipy underflows at large orders
        expected = np.log(special.ive(order, kappa)) - order * np.log(kappa / 2) + math.lgamma(dim / 2)
        resultant = ratio(dim, kappa)
    known = np.isfinite(expected)
    assert known.any()
    assert np.allclose(angle.log_normaliser.numpy()[known], expected[known], rtol=1e-13, atol=1e-10)
    assert np.allclose(1 - angle.versine.numpy()[known], resultant[known], rtol=1e-10, atol=1e-14)
    variance = (angle.squared_versine - angle.versine.square()).numpy()
    # Var w = 1 − A² − (D − 1) A/κ, which cancels at both ends; and 1 − E w² = (D − 1) A/κ.
    across = (dim - 1) * resultant / kappa
    assert np.allclose(variance[known], (1 - resultant**2 - across)[known], atol=1e-11)
    assert np.allclose(angle.squared_sine.numpy()[known], across[known], rtol=1e-9)


def test_limits_of_the_concentration():
    """ℓ → 0 with slope −1 at κ = 0; at large κ, 1 − w is χ²_{D−1}/2κ, so that 2κ E[1 − w] → D − 1."""
    for dim in DIMS:
        zero = PolarAngle(dim, torch.zeros(1))
        assert abs(float(zero.log_normaliser)) < 1e-12
        assert float(zero.versine) == pytest.approx(1, abs=1e-12)
        assert float(zero.squared_sine) == pytest.approx(1 - 1 / dim, abs=1e-12)
        large = PolarAngle(dim, torch.tensor([1e10]))
        assert float(2e10 * large.versine) == pytest.approx(dim - 1, rel=1e-7)


@pytest.mark.parametrize("dim", DIMS)
def test_derivatives_of_the_normaliser_are_moments(dim):
    kappa = CONCENTRATIONS[:5].clone().requires_grad_()
    angle = PolarAngle(dim, kappa)
    (first,) = torch.autograd.grad(angle.log_normaliser.sum(), kappa, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), kappa)
    variance = (angle.squared_versine - angle.versine.square()).detach()
    assert torch.allclose(first.detach(), -angle.versine.detach(), rtol=1e-12)
    assert torch.allclose(second, variance, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dim", DIMS)
def test_quantiles_invert_the_distribution_function(dim):
    """Against the numerical CDF on a fine grid, at levels as far out as single-precision normal draws go."""
    kappa = torch.tensor([0.0, 1.0, 30.0, 1_000.0], dtype=torch.float64)
    level = torch.special.ndtr(torch.linspace(-5.5, 5.5, 23, dtype=torch.float64))
    phi = PolarAngle(dim, kappa).quantile(level[:, None].expand(-1, len(kappa)))
    assert (phi.diff(dim=0) > 0).all()
    for column, k in zip(phi.T, kappa, strict=True):
        grid = torch.linspace(0, math.pi, 400_001, dtype=torch.float64)
        log_f = (dim - 2) * grid.sin().clamp(min=1e-300).log() + k * (grid.cos() - 1)
        f = (log_f - log_f.max()).exp()
        cdf = torch.nn.functional.pad(torch.cumulative_trapezoid(f, grid), (1, 0))
        at = np.interp(column.numpy(), grid.numpy(), (cdf / cdf[-1]).numpy())
        assert np.abs(at - level.numpy()).max() < 1e-8


def test_density_normalises_on_the_circle_and_the_sphere():
    angle = torch.linspace(0, 2 * math.pi, 2_001, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    for kappa in (0.0, 1.0, 50.0):
        density = distribution(2, kappa).log_prob(circle).exp()
        assert float(torch.trapezoid(density, angle)) == pytest.approx(1, abs=1e-9)
        height = torch.linspace(-1, 1, 401, dtype=torch.float64)
        around = angle[:-1:20]
        radius = (1 - height.square()).sqrt()[:, None]
        points = torch.stack(
            [radius * around.cos(), radius * around.sin(), height[:, None].expand(-1, len(around))], -1
        )
        # Archimedes: the area element of the sphere is that of the cylinder around it.
        mean = distribution(3, kappa).log_prob(points).exp().mean(1)
        total = 2 * math.pi * torch.trapezoid(mean, height)
        assert float(total) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("dim", DIMS)
def test_density_is_scipys(dim):
    q = distribution(dim, 20.0)
    torch.manual_seed(0)
    z = q.sample((50,))
    expected = stats.vonmises_fisher(q.loc.numpy(), 20.0).logpdf(z.numpy())
    assert np.allclose(q.log_prob(z).numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 5.0, 500.0])
@pytest.mark.parametrize("dim", DIMS)
def test_draws_have_the_stated_moments(dim, kappa):
    """On the sphere; the mean along μ is A_D(κ), its variances those in closed form, all within five errors."""
    q, num = distribution(dim, kappa), 20_000
    torch.manual_seed(1)
    z = q.sample((num,))
    assert q.support.check(z).all()
    along = z @ q.loc
    resultant = float(q.mean @ q.loc)
    if kappa > dim / 50:  # below, scipy underflows
        assert resultant == pytest.approx(ratio(dim, kappa), rel=1e-10)
    assert abs(float(along.mean()) - resultant) < 5 * float(along.std()) / math.sqrt(num) + 1e-12
    error = 5 * z.std(0) / math.sqrt(num)
    assert ((z.mean(0) - q.mean).abs() < error).all()
    spread = (z - q.mean).square()
    assert ((spread.mean(0) - q.variance).abs() < 5 * spread.std(0) / math.sqrt(num)).all()
    assert torch.allclose(q.stddev.square(), q.variance)


@pytest.mark.parametrize("dim", DIMS)
def test_gradients_of_draws_are_those_of_finite_differences(dim):
    """In κ and μ at fixed noise, for a function without symmetry; the map is smooth around this μ."""
    generator = torch.Generator().manual_seed(2)
    loc = torch.randn(dim, dtype=torch.float64, generator=generator)
    weight = torch.randn(dim, dtype=torch.float64, generator=generator)
    draws = [torch.randn(64, *shape, dtype=torch.float64, generator=generator) for shape in ((), (dim - 1,))]

    def mean(loc: Tensor, kappa: Tensor) -> Tensor:
        with noise.replay(draws):
            z = VonMisesFisher(loc, kappa).rsample((64,))
        return ((z @ weight) + (z @ weight).square()).mean()

    for kappa in (0.5, 20.0):
        inputs = (loc.clone().requires_grad_(), torch.tensor(kappa, dtype=torch.float64, requires_grad=True))
        assert torch.autograd.gradcheck(mean, inputs, eps=1e-6, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("dim", DIMS)
def test_pathwise_gradient_is_that_of_the_mean(dim):
    """d/dκ of the expected cosine is Var w; over 20,000 draws to five standard errors."""
    kappa = torch.full((20_000,), 10.0, dtype=torch.float64, requires_grad=True)
    loc = distribution(dim, 1.0).loc
    torch.manual_seed(3)
    z = VonMisesFisher(loc.expand(20_000, dim), kappa).rsample()
    (gradient,) = torch.autograd.grad((z @ loc).sum(), kappa)
    angle = PolarAngle(dim, torch.tensor(10.0))
    variance = float(angle.squared_versine - angle.versine.square())
    assert abs(float(gradient.mean()) - variance) < 5 * float(gradient.std()) / math.sqrt(20_000)


@pytest.mark.parametrize("kappa", [1e-4, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("dim", DIMS)
def test_kl_from_uniform(dim, kappa):
    """Against draws to five standard errors, and κ²/2D at small κ."""
    q = distribution(dim, kappa)
    p = UniformOnSphere(torch.zeros(dim, dtype=torch.float64))
    exact = float(kl_divergence(q, p))
    torch.manual_seed(4)
    z = q.sample((20_000,))
    integrands = q.log_prob(z) - p.log_prob(z)
    assert abs(float(integrands.mean()) - exact) < 5 * float(integrands.std()) / math.sqrt(20_000) + 1e-12
    assert exact > 0
    if kappa < 1e-3:
        assert exact == pytest.approx(kappa**2 / (2 * dim), rel=1e-3)


def test_single_precision_agrees_with_double():
    """At κ = 10⁴ the density of single-precision parameters in float64, whose norms are not quite one."""
    q = VonMisesFisher(distribution(16, 1.0).loc.float(), torch.tensor(1e4))
    torch.manual_seed(5)
    z = q.sample((100,))
    assert z.dtype == q.mean.dtype == q.variance.dtype == kl_divergence(q, UniformOnSphere(z[0])).dtype == torch.float32
    double = VonMisesFisher(q.loc.double(), q.concentration.double())
    assert torch.equal(log_prob_float64(q, z), double.log_prob(z.double()))
    assert torch.allclose(q.log_prob(z).double(), double.log_prob(z.double()), atol=5e-3)


def test_uniform_draws_and_moments():
    p = UniformOnSphere(torch.zeros(2, 3))
    torch.manual_seed(6)
    z = p.expand((4,)).sample((5_000,))
    assert z.shape == (5_000, 4, 2, 3)
    assert p.support.check(z).all()
    assert not p.support.check(2 * z).any()
    assert (z.flatten(0, 1).mean(0).abs() < 5 / math.sqrt(6 * 20_000)).all()
    assert torch.allclose(z.flatten(0, 1).var(0), p.variance, rtol=0.06)
    assert torch.equal(p.log_prob(z), torch.full((5_000, 4), -log_area(6)))
    assert log_area(2) == pytest.approx(math.log(2 * math.pi))
    assert log_area(3) == pytest.approx(math.log(4 * math.pi))


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 2, 2)], ids=str)
def test_the_pair_lives_on_one_sphere_with_a_closed_form(shape):
    pair, images = vae(shape), torch.rand(5, 1, 8, 8)
    q, p = pair.posterior(images), pair.prior()
    assert q.batch_shape == (5,)
    assert q.event_shape == p.event_shape == shape
    assert isinstance(q.support, Sphere)
    assert isinstance(p.support, Sphere)
    assert q.support.check(q.rsample()).all()
    assert kl_method(q, p) == "closed form"
    assert kl_divergence(q, p.expand((5,))).shape == (5,)
    assert torch.equal(kl_divergence(q.expand((2, 5)), p)[1], kl_divergence(q, p))


@pytest.mark.parametrize("replicates", [1, 2], ids=["alone", "mapped"])
def test_training_step_is_one_graph(replicates):
    pair, objective, images = vae((4,)), OBJECTIVES["elbo"](), torch.rand(6, 1, 8, 8)
    draws = [torch.randn(replicates, *shape) for shape in noise_shapes(pair, objective, images[:4])]
    indices = torch.randint(6, (replicates, 4))
    batch = Batch(images[None], indices, draws, torch.tensor(1.0), torch.tensor(1e-3), torch.tensor(1.0))
    state, step = State.initial([pair] * replicates), PureStep(pair, objective)
    inputs, layout = tree_flatten((state.parameters, state.buffers, tuple(batch)))

    def update(*tensors: Tensor) -> list[Tensor]:
        parameters, buffers, parts = tree_unflatten(list(tensors), layout)
        gradients, _, metrics = step.gradients(State(parameters, {}, {}, buffers, state.count), Batch(*parts))
        return [metrics, *gradients.values()]

    with torch.no_grad():
        traced = make_fx(update, tracing_mode="fake")(*inputs)(*inputs)
        for mine, theirs in zip(traced, update(*inputs), strict=True):
            assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-7)
            assert mine.isfinite().all()
            assert mine.abs().sum() > 0


def test_pairs_that_cannot_be_are_refused():
    for family, name in ((POSTERIORS, "von_mises_fisher"), (PRIORS, "hypersphere")):
        with pytest.raises(ValueError, match="latent_dim of at least 2"):
            family[name](context((1,)))
    with pytest.raises(ValueError, match=r"posterior\.min_concentration"):
        POSTERIORS["von_mises_fisher"](context((2,)), min_concentration=-1.0)
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        VonMisesFisher(torch.ones(3, 1), torch.ones(3))
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        UniformOnSphere(torch.zeros(1))
