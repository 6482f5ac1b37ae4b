"""What is special to one prior: exact oracles, limits, and what training must not see."""

import math

import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from models.context import Context
from models.distributions import NormalMixture
from models.posteriors import Posterior
from models.priors import Prior
from models.shapes import Shapes
from models.vae import VAE
from study.design.families import LIKELIHOODS, NETWORKS, POSTERIORS, PRIORS


def build(
    name: str, latent_shape: tuple[int, ...], examples: Tensor | None = None, **options
) -> tuple[Prior, Posterior]:
    torch.manual_seed(3)
    examples = torch.rand(20, 1, 8, 8) if examples is None else examples
    context = Context(Shapes(latent_shape, tuple(examples.shape[1:])), NETWORKS["mlp"](hidden=(16,)), examples)
    posterior = POSTERIORS["diagonal_normal"](context)
    return PRIORS[name](context.with_posterior(posterior), **options), posterior


@torch.no_grad()
def moved(prior: Prior, by: float = 0.3) -> Prior:
    """In float64, every parameter away from its start."""
    for parameter in prior.parameters():
        parameter.add_(by * torch.randn_like(parameter))
    return prior.double()


@torch.no_grad()
def test_vamp_mixture_adds_the_width_of_a_cluster_to_the_variance_of_its_centre():
    z = torch.randn(10, 4, 2, 2)
    thin, posterior = build("vamp_mixture", (4, 2, 2), components=7, width=1e-6)
    vamp, _ = build("vamp", (4, 2, 2), components=7)
    assert torch.allclose(thin().log_prob(z), vamp().log_prob(z), atol=1e-4)
    wide, posterior = build("vamp_mixture", (4, 2, 2), components=7, width=3.0)
    wide.logits.copy_(torch.arange(7.0))
    centres = posterior(wide.pseudo_inputs)
    clusters = dist.Normal(centres.mean, (centres.variance + 9).sqrt()).to_event(3)
    expected = (wide.logits.log_softmax(0) + clusters.log_prob(z[:, None])).logsumexp(1)
    assert torch.allclose(wide().log_prob(z), expected, atol=1e-4)


def test_student_t_has_heavy_tails_with_a_variance():
    prior, _ = build("student_t", (2,), df=2.5)
    with torch.no_grad():
        assert torch.allclose(prior().base_dist.df, torch.full((2,), 2.5), atol=1e-6)
        prior.raw_df.fill_(-50.0)
        assert (prior().base_dist.df >= 2).all()
    light = build("student_t", (2,), df=1e6)[0].double()
    z = torch.randn(50, 2, dtype=torch.float64)
    normal = dist.Normal(torch.zeros(2, dtype=torch.float64), 1.0).to_event(1)
    assert torch.allclose(light().log_prob(z), normal.log_prob(z), atol=1e-3)
    heavy = build("student_t", (2,), df=3.0)[0].double()
    assert (heavy().log_prob(6 + z.abs()) > normal.log_prob(6 + z.abs())).all()


@torch.no_grad()
@pytest.mark.parametrize("shape", [(5,), (3, 2, 2)], ids=str)
def test_full_normal_is_torchs_multivariate_normal(shape):
    prior, posterior = build("full_normal", shape)
    p = moved(prior)()
    dim = math.prod(shape)
    theirs = dist.MultivariateNormal(p.loc, precision_matrix=p.factor @ p.factor.T)
    z = 2 * torch.randn(20, *shape, dtype=torch.float64)
    assert torch.allclose(p.log_prob(z), theirs.log_prob(z.reshape(20, dim)), rtol=1e-10)
    q = posterior.double()(torch.rand(4, 1, 8, 8, dtype=torch.float64))
    flat = dist.MultivariateNormal(q.mean.reshape(4, dim), torch.diag_embed(q.variance.reshape(4, dim)))
    assert torch.allclose(kl_divergence(q, p), kl_divergence(flat, theirs), rtol=1e-10)
    assert torch.allclose(kl_divergence(q, p.expand((4,))), kl_divergence(flat, theirs), rtol=1e-10)


@torch.no_grad()
def test_draws_of_the_full_normal_have_its_covariance():
    """100,000 draws; an entry off by five standard errors is detected."""
    p = moved(build("full_normal", (3,))[0])()
    torch.manual_seed(0)
    z = p.sample((100_000,))
    covariance = torch.linalg.inv(p.factor @ p.factor.T)
    variances = covariance.diagonal()
    errors = ((variances[:, None] * variances + covariance.square()) / 100_000).sqrt()
    assert ((z.T.cov() - covariance).abs() < 5 * errors).all()
    assert ((z.mean(0) - p.loc).abs() < 5 * (variances / 100_000).sqrt()).all()


def test_other_posteriors_have_no_closed_form_against_the_full_normal():
    p = build("full_normal", (2,))[0]()
    with pytest.raises(NotImplementedError):
        kl_divergence(dist.Laplace(torch.zeros(2), torch.ones(2)).to_event(1), p)


@pytest.mark.parametrize("name", ["realnvp", "maf", "spline_flow", "hierarchical"])
@pytest.mark.parametrize("shape", [(7,), (4, 2, 2)], ids=str)
def test_flows_and_levels_start_from_the_standard_normal(name, shape):
    prior, _ = build(name, shape)
    normal = dist.Normal(torch.zeros(shape), torch.ones(shape)).to_event(len(shape))
    z = torch.randn(50, *shape)
    assert torch.allclose(prior().log_prob(z), normal.log_prob(z), atol=2e-3)


@torch.no_grad()
@pytest.mark.parametrize("name", ["realnvp", "maf", "spline_flow", "hierarchical"])
def test_log_det_of_a_map_is_that_of_its_jacobian(name):
    """log p(z) against log N(ε; 0, I) − log|det ∂z/∂ε| of the draw ε ↦ z, by automatic differentiation."""
    prior, _ = build(name, (5,), hidden=(16,))
    prior = moved(prior, 0.1)
    noise = torch.randn(1, 5, dtype=torch.float64)
    prior.noise = lambda num: noise.clone()
    z = prior.draw(1)

    def draw(given: Tensor) -> Tensor:
        prior.noise = lambda num: given[None]
        return prior.draw(1)[0]

    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(draw, noise[0])
    normal = dist.Normal(torch.zeros(5, dtype=torch.float64), 1.0).to_event(1)
    expected = normal.log_prob(noise) - torch.linalg.slogdet(jacobian).logabsdet
    assert torch.allclose(prior().log_prob(z), expected, atol=1e-6)
    assert torch.linalg.slogdet(jacobian).logabsdet.abs() > 0.01


def test_importing_the_flows_library_leaves_validation_as_it_was():
    before = Distribution._validate_args
    build("maf", (2,))
    assert Distribution._validate_args is before


@torch.no_grad()
@pytest.mark.parametrize("hidden", [(3,), (16,), (40, 8)], ids=str)
def test_autoregressive_factors_see_what_comes_before_and_nothing_else(hidden):
    prior, _ = build("autoregressive", (6,), components=2, hidden=hidden)
    prior = moved(prior)

    def numbers(z: Tensor) -> Tensor:
        return prior.head(prior.body(z)).unflatten(-1, (6, -1)).abs().sum(-1)

    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(numbers, torch.randn(6, dtype=torch.float64))
    sees = torch.stack([j.abs() > 0 for j in jacobian])
    before = torch.ones(6, 6).tril(-1).bool()
    assert not (sees & ~before).any()
    if min(hidden) >= 16:
        assert torch.equal(sees, before)


def grey(num: int, generator: torch.Generator) -> Tensor:
    """Images of which two thirds of the pixels are black or white and the others grey."""
    pixels = torch.rand(num, 1, 12, 12, generator=generator)
    return (3 * pixels - 1).clamp(0, 1)


@torch.no_grad()
def test_exemplars_recognise_their_binarisations_and_few_others():
    """All of 600 own draws are found: the chance to miss one is below 1 % (p < 0.003). No other image is found."""
    generator = torch.Generator().manual_seed(0)
    images = grey(60, generator)
    prior, _ = build("exemplar", (2,), images, exemplars=30)
    assert len(prior.exemplars) == 30
    for _ in range(20):
        seen = prior.resembles(torch.bernoulli(images, generator=generator))
        assert seen[:30].diagonal().all()
        assert int(seen.sum()) == 30
    for same in (images, (images > 0.5).float()):
        assert prior.resembles(same)[:30].diagonal().all()


@torch.no_grad()
def test_exemplar_prior_leaves_out_an_images_own_code_in_training_only():
    generator = torch.Generator().manual_seed(1)
    images = grey(8, generator)
    prior, posterior = build("exemplar", (2,), images, exemplars=5)
    z = torch.randn(8, 2, generator=generator)
    window = dist.Normal(posterior(images[:5]).mean, torch.nn.functional.softplus(prior.raw_scale) + 1e-4).to_event(1)
    terms = window.log_prob(z[:, None])
    assert torch.allclose(prior().log_prob(z), terms.logsumexp(1) - math.log(5), atol=1e-5)
    terms[torch.arange(5), torch.arange(5)] = -math.inf
    counts = torch.tensor([4.0] * 5 + [5.0] * 3)
    training = prior.for_training(torch.bernoulli(images, generator=generator))
    assert training.batch_shape == (8,)
    assert torch.allclose(training.log_prob(z), terms.logsumexp(1) - counts.log(), atol=1e-5)
    likelihood = LIKELIHOODS["bernoulli"](Context(Shapes((2,), (1, 12, 12)), NETWORKS["mlp"](hidden=(8,))))
    vae = VAE(prior, posterior, likelihood)
    for is_training, expected in ((True, training), (False, prior())):
        model = poutine.condition(vae.train(is_training).model, data={"z": z})
        p = poutine.trace(model).get_trace(images).nodes["z"]["fn"]
        assert torch.allclose(p.log_prob(z), expected.log_prob(z))


@torch.no_grad()
def test_an_image_that_resembles_every_exemplar_keeps_them():
    same = torch.ones(4, 1, 8, 8)
    prior, _ = build("exemplar", (2,), same)
    z = torch.randn(3, 2)
    assert prior.resembles(same[:3]).all()
    assert torch.allclose(prior.for_training(same[:3]).log_prob(z), prior().log_prob(z))


def test_mixtures_of_normals_hold_weights_for_each_element_of_a_batch():
    loc, scale = torch.randn(4, 2), torch.rand(4, 2) + 0.5
    logits = torch.randn(3, 4)
    logits[1, :3] = -math.inf
    batch = NormalMixture(logits, loc, scale)
    assert batch.batch_shape == (3,)
    z = torch.randn(5, 3, 2)
    for index in range(3):
        alone = NormalMixture(logits[index], loc, scale)
        assert torch.allclose(batch.log_prob(z)[:, index], alone.log_prob(z[:, index]), atol=1e-5)
    torch.manual_seed(0)
    draws = batch.sample((4_000,))[:, 1]
    assert ((draws.mean(0) - loc[3]).abs() < 5 * scale[3] / math.sqrt(4_000)).all()
    assert batch.expand((2, 3)).sample((6,)).shape == (6, 2, 3, 2)


@pytest.mark.parametrize("name", ["exemplar", "vamp_mixture"])
def test_priors_made_of_moments_say_which_posteriors_have_none(name):
    class Unknown(dist.TransformedDistribution):
        """log-normal: a distribution whose moments its class does not give."""

    prior, _ = build(name, (2,))
    spread = dist.Normal(torch.zeros(20, 2), 1.0).to_event(1)
    prior._posterior = (lambda images: Unknown(spread, [torch.distributions.ExpTransform()]),)
    with pytest.raises(ValueError, match="Unknown has none in closed form; use posterior=diagonal_normal"):
        prior()
