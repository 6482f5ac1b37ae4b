"""Pyro's inference classes on every prior and network: with vectorised particles they compute what they do one by one.

Where particles can be taken one after another, or a result has a formula, it is compared with the same random numbers;
models are in evaluation mode, where the noise of z is all there is. Draws of images, for which there are no common
random numbers, are held to their mean within five standard errors.
"""

import copy
import math
from collections.abc import Callable

import pyro
import pytest
import torch
from pyro import poutine
from pyro.contrib.gp.kernels import RBF
from pyro.infer import (
    ELBO,
    SVGD,
    SVI,
    EnergyDistance,
    Predictive,
    RBFSteinKernel,
    RenyiELBO,
    ReweightedWakeSleep,
    Trace_ELBO,
    Trace_MMD,
    TraceEnum_ELBO,
    TraceGraph_ELBO,
    TraceMeanField_ELBO,
    TraceTailAdaptive_ELBO,
)
from pyro.infer.importance import vectorized_importance_weights
from pyro.optim import Adam
from torch import Tensor, nn
from torch.distributions import kl_divergence

from models import noise
from models.context import Context
from models.linear import LinearGaussianVAE
from models.networks import evaluate
from models.shapes import Shapes
from models.vae import VAE
from study.design.families import LIKELIHOODS, NETWORKS, POSTERIORS, PRIORS

P, B, D = 4, 6, 4
"""Particles, images and latent dimensions."""
IMAGES = (torch.rand(B, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()

SMALL = {
    "hidden": 8,
    "channels": (4, 8),
    "stem": 4,
    "components": 3,
    "exemplars": 6,
    "proposals": 10,
    "units": 8,
    "steps": 3,
    "transforms": 2,
    "bins": 3,
    "draws": 64,
    "evaluation_draws": 128,
}
"""Sizes of the options that have one."""


def part(family, name: str, *context: Context):
    """A part of ``family`` whose options of size are small."""
    options = family.options(name)
    sizes = {
        option: (size,) if isinstance(options[option].default, tuple) and isinstance(size, int) else size
        for option, size in SMALL.items()
        if option in options
    }
    return family[name](*context, **sizes)


def build(prior: str, network: str = "mlp", likelihood: str = "bernoulli", posterior: str | None = None) -> VAE:
    """A VAE in evaluation mode, every parameter a little away from its start; seeded."""
    torch.manual_seed(0)
    context = Context(Shapes((D,), (1, 8, 8)), part(NETWORKS, network), IMAGES)
    supported = (name for name in sorted(POSTERIORS) if POSTERIORS[name].support == PRIORS[prior].support)
    q = part(POSTERIORS, posterior or next(supported), context)
    vae = VAE(part(PRIORS, prior, context.with_posterior(q)), q, part(LIKELIHOODS, likelihood, context))
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return vae.eval()


def pair(vae: VAE, z: Tensor) -> tuple[Tensor, Tensor]:
    """Log p(z) and log p(x|z) at ``z`` ``(P, B, D)``, one particle after another, ``(P, B)``."""
    return (
        torch.stack([vae.prior().log_prob(row) for row in z]),
        torch.stack([vae.likelihood(row).log_prob(IMAGES) for row in z]),
    )


CASES = [(prior, "mlp") for prior in PRIORS] + [
    ("standard_normal", network) for network in NETWORKS if network != "mlp"
]
"""Every prior and every network. Each prior with each network is in FURTHER, with one loss."""
each_prior_and_network = pytest.mark.parametrize(("prior", "network"), CASES)


@pytest.fixture(autouse=True)
def _clean_store():
    pyro.clear_param_store()
    yield
    pyro.clear_param_store()


def with_gradients(loss: ELBO, vae: VAE, draws: list[Tensor]) -> tuple[object, list[Tensor | None]]:
    """The loss, and the gradients that it leaves at the parameters, with the noise that is handed to it."""
    vae.zero_grad()
    with noise.replay(draws):
        value = loss.loss_and_grads(vae.model, vae.guide, IMAGES)
    return value, [None if p.grad is None else p.grad.clone() for p in vae.parameters()]


BY_PARTICLE: dict[str, Callable[..., ELBO]] = {
    "Trace": Trace_ELBO,
    "TraceMeanField": TraceMeanField_ELBO,
    "TraceGraph": TraceGraph_ELBO,
    "TraceEnum": lambda **options: TraceEnum_ELBO(strict_enumeration_warning=False, **options),
    "Renyi": lambda **options: RenyiELBO(alpha=0.5, **options),
    "ReweightedWakeSleep": ReweightedWakeSleep,
}
"""Losses that take particles one by one as well."""


FURTHER = [
    pytest.param(list(BY_PARTICLE)[(i + j) % len(BY_PARTICLE)], prior, network, marks=pytest.mark.slow)
    for i, prior in enumerate(PRIORS)
    for j, network in enumerate(NETWORKS)
    if (prior, network) not in CASES
]
"""The other pairs of a prior and a network, each with one of the losses in turn."""


@pytest.mark.parametrize(
    ("loss", "prior", "network"), [*((loss, *case) for case in CASES for loss in BY_PARTICLE), *FURTHER]
)
def test_vectorised_particles_give_the_loss_and_gradients_of_single_ones(loss, prior, network):
    vae = build(prior, network)
    with noise.record() as shapes, torch.no_grad():
        vae.guide(IMAGES)
    draws = [torch.randn(P, *shape) for shape in shapes]
    one_by_one = BY_PARTICLE[loss](num_particles=P, vectorize_particles=False, max_plate_nesting=1)
    expected, gradients = with_gradients(one_by_one, vae, [draw[i] for i in range(P) for draw in draws])
    vectorised = BY_PARTICLE[loss](num_particles=P, vectorize_particles=True, max_plate_nesting=1)
    value, own = with_gradients(vectorised, vae, draws)
    assert value == pytest.approx(expected, rel=1e-4)
    assert any(gradient is not None for gradient in own)
    for a, b in zip(own, gradients, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(1 + b.abs().max()))


@pytest.mark.parametrize("posterior", list(POSTERIORS))
@pytest.mark.parametrize("likelihood", list(LIKELIHOODS))
def test_every_posterior_and_likelihood_takes_vectorised_particles(posterior, likelihood):
    """The same draws, scored by pair as one batch and row by row."""
    prior = "hypersphere" if POSTERIORS[posterior].support == "sphere" else "standard_normal"
    vae = build(prior, likelihood=likelihood, posterior=posterior)
    elbo = Trace_ELBO(num_particles=P, vectorize_particles=True, max_plate_nesting=1)
    torch.manual_seed(1)
    with torch.no_grad():
        loss = elbo.loss(vae.model, vae.guide, IMAGES)
        torch.manual_seed(1)
        z = vae.posterior(IMAGES).rsample((P,))
        log_q = torch.stack([vae.posterior(IMAGES).log_prob(row) for row in z])
        log_prior, log_likelihood = pair(vae, z)
    assert loss == pytest.approx(float((log_q - log_prior - log_likelihood).sum()) / P, rel=1e-4)


@pytest.mark.parametrize("posterior", list(POSTERIORS))
@torch.no_grad()
def test_leading_dimensions_are_folded_and_unfolded(posterior):
    """Images and latents ``(2, 3, …)`` give what their rows give, and a single one without a batch too."""
    prior = "hypersphere" if POSTERIORS[posterior].support == "sphere" else "standard_normal"
    vae = build(prior, posterior=posterior)
    z = vae.posterior(IMAGES).rsample()
    q, p = vae.posterior(IMAGES.unflatten(0, (2, 3))), vae.likelihood(z.unflatten(0, (2, 3)))
    assert q.batch_shape == p.batch_shape == (2, 3)
    assert torch.allclose(q.log_prob(z.unflatten(0, (2, 3))).flatten(), vae.posterior(IMAGES).log_prob(z), atol=1e-4)
    assert torch.allclose(p.mean.flatten(0, 1), vae.likelihood(z).mean, atol=1e-6)
    assert torch.allclose(vae.likelihood(z[0]).mean, vae.likelihood(z).mean[0], atol=1e-6)


def test_a_body_that_knows_one_batch_dimension_is_enough():
    """Such as anybody would write: it flattens from dimension 1."""
    body = nn.Sequential(nn.Flatten(), nn.Linear(12, 10), nn.Unflatten(1, (2, 5)))
    events = torch.randn(2, 3, 3, 4)
    assert torch.equal(evaluate(body, events, 2), body(events.flatten(0, 1)).unflatten(0, (2, 3)).movedim(2, 0))


@each_prior_and_network
def test_tail_adaptive_gradients_are_those_of_weighted_particles(prior, network):
    """Its particles are weighted by ranks; with equal weights, β = 0, the gradient is Trace_ELBO's over P."""
    vae = build(prior, network)
    with noise.record() as shapes, torch.no_grad():
        vae.guide(IMAGES)
    draws = [torch.randn(P, *shape) for shape in shapes]
    particles = {"num_particles": P, "vectorize_particles": True, "max_plate_nesting": 1}
    equal = TraceTailAdaptive_ELBO(tail_adaptive_beta=0.0, **particles)
    adaptive = TraceTailAdaptive_ELBO(tail_adaptive_beta=-1.0, **particles)
    _, expected = with_gradients(Trace_ELBO(**particles), vae, draws)
    _, same = with_gradients(equal, vae, draws)
    _, other = with_gradients(adaptive, vae, draws)
    for a, b in zip(same, expected, strict=True):
        assert a is None or torch.allclose(P * a, b, rtol=1e-3, atol=1e-4 * float(1 + b.abs().max()))
    assert any(not torch.allclose(a, b) for a, b in zip(same, other, strict=True) if a is not None)


@each_prior_and_network
def test_the_sleep_phase_shows_the_guide_what_the_model_dreamt(prior, network):
    """−E log q(z|x) over joint draws (z, x) of the model."""
    vae, dreams = build(prior, network), []

    def guide(images: Tensor, observations: dict[str, Tensor] | None = None) -> Tensor:
        z = vae.guide(images, observations=observations)
        if observations is not None:
            dreams.append((z, observations["x"]))
        return z

    sleep = ReweightedWakeSleep(
        num_particles=2, insomnia=0.0, num_sleep_particles=P, vectorize_particles=True, max_plate_nesting=1
    )
    torch.manual_seed(0)
    _, loss = sleep.loss(vae.model, guide, IMAGES)
    ((z, x),) = dreams
    assert z.shape == (P, B, D)
    assert x.shape == (P, B, 1, 8, 8)
    with torch.no_grad():
        expected = torch.stack([vae.posterior(image).log_prob(row) for row, image in zip(z, x, strict=True)])
    assert float(loss) == pytest.approx(-float(expected.sum()) / P, rel=1e-4)


@each_prior_and_network
def test_energy_distance_is_its_formula(prior, network):
    """E‖X − x‖ − ½ E‖X − X'‖ over draws X of all images; ``max_plate_nesting`` counts the dimension of particles."""
    vae = build(prior, network, "gaussian")
    torch.manual_seed(1)
    value = EnergyDistance(num_particles=P, max_plate_nesting=2)(vae.model, vae.guide, IMAGES)
    torch.manual_seed(1)
    z = vae.posterior(IMAGES).rsample((P,))
    x = vae.likelihood(z).rsample()
    error = (x - IMAGES).square().flatten(1).sum(1)
    first, second = (i.flatten() for i in torch.tril_indices(P, P, -1))
    entropy = (x[first] - x[second]).square().flatten(1).sum(1)
    assert torch.allclose(value, error.sqrt().mean() - 0.5 * entropy.sqrt().mean(), rtol=1e-4)


@each_prior_and_network
def test_mmd_is_the_distortion_and_a_distance_of_draws(prior, network):
    """It needs draws of the prior that carry gradients, and says so where there are none."""
    vae = build(prior, network)
    kernel = RBF(B * D, lengthscale=torch.tensor(3.0))
    losses = [
        Trace_MMD(kernel, scale, num_particles=P, vectorize_particles=True, max_plate_nesting=1) for scale in (0, 1)
    ]
    torch.manual_seed(1)
    if not vae.prior().has_rsample:
        with pytest.raises(ValueError, match="z is not reparameterizable"):
            losses[0].loss(vae.model, vae.guide, IMAGES)
        return
    distortion = losses[0].loss(vae.model, vae.guide, IMAGES)
    torch.manual_seed(1)
    z = vae.posterior(IMAGES).rsample((P,))
    assert distortion == pytest.approx(-float(pair(vae, z)[1].detach().sum()) / P, rel=1e-4)
    torch.manual_seed(1)
    with_distance = losses[1].loss(vae.model, vae.guide, IMAGES)
    # Of biased sums over P points each: at most 2 where kernels are at most 1, and not 0 between two samples.
    assert 0 < with_distance - distortion < 2 + 1e-3


@each_prior_and_network
def test_importance_weights_are_log_p_less_log_q(prior, network):
    vae = build(prior, network)
    with torch.no_grad():
        weights, model, guide = vectorized_importance_weights(
            vae.model, vae.guide, IMAGES, num_samples=P, max_plate_nesting=1, normalized=False
        )
        z = guide.nodes["z"]["value"]
        log_q = torch.stack([vae.posterior(IMAGES).log_prob(row) for row in z])
        log_prior, log_likelihood = pair(vae, z)
    assert z.shape == (P, B, D)
    assert model.nodes["x"]["log_prob"].shape == (P, B)
    assert torch.allclose(weights, (log_prior + log_likelihood - log_q).sum(1), rtol=1e-4, atol=1e-2)


@each_prior_and_network
def test_parallel_predictions_follow_guide_and_likelihood(prior, network):
    """Means of 400 draws within five standard errors: of z those of q, of pixels those of p(x|z) at the drawn z."""
    vae, num = build(prior, network), 400
    torch.manual_seed(0)
    draws = Predictive(
        poutine.uncondition(vae.model), guide=vae.guide, num_samples=num, parallel=True, return_sites=("z", "x")
    )(IMAGES)
    z, x = draws["z"], draws["x"]
    assert z.shape == (num, B, D)
    assert x.shape == (num, B, 1, 8, 8)
    with torch.no_grad():
        expected = vae.posterior(IMAGES).rsample((20_000,))
        error = (expected.var(0) * (1 / num + 1 / 20_000)).sqrt()
        assert ((z.mean(0) - expected.mean(0)).abs() < 5 * error).all()
        probability = vae.likelihood(z).mean
    deviation = (probability * (1 - probability)).sum(0).sqrt() / num
    assert ((x - probability).mean(0).abs() < 5 * deviation).all()


@each_prior_and_network
def test_svgd_moves_particles_of_every_image(prior, network):
    """Its loss is −Σ log p(x, z) over particles; the sphere has no unconstrained coordinates and is refused."""
    vae = build(prior, network)
    svgd = SVGD(vae.model, RBFSteinKernel(), Adam({"lr": 0.05}), num_particles=P, max_plate_nesting=1)
    torch.manual_seed(0)
    if PRIORS[prior].support == "sphere":
        with pytest.raises(NotImplementedError, match="Sphere"):
            svgd.step(IMAGES)
        return
    svgd.step(IMAGES)
    start = svgd.get_named_particles()["z"].detach().clone()
    with torch.no_grad():
        loss = float(svgd.loss(svgd.model, svgd.guide, IMAGES))
        assert start.shape == (P, B, D)
        assert loss == pytest.approx(-float(sum(term.sum() for term in pair(vae, start))), rel=1e-4)
    for _ in range(30):
        svgd.step(IMAGES)
    with torch.no_grad():
        assert float(svgd.loss(svgd.model, svgd.guide, IMAGES)) < loss
    assert not torch.equal(svgd.get_named_particles()["z"], start)


IN_TRAINING = 300
"""Evaluations of the loss, one particle each, or as many particles at once."""


@pytest.mark.parametrize("prior", list(PRIORS))
def test_in_training_mode_both_agree_within_their_errors(prior):
    """Priors that estimate or bound their density in training do so with noise of their own; five standard errors."""
    vae = build(prior).train()
    torch.manual_seed(0)
    with torch.no_grad():
        single = torch.tensor([Trace_ELBO().loss(vae.model, vae.guide, IMAGES) for _ in range(IN_TRAINING)])
        many = Trace_ELBO(num_particles=20, vectorize_particles=True, max_plate_nesting=1)
        means = torch.tensor([many.loss(vae.model, vae.guide, IMAGES) for _ in range(IN_TRAINING // 20)])
    error = math.sqrt(float(single.var()) / len(single) + float(means.var()) / len(means))
    assert abs(float(single.mean() - means.mean())) < 5 * error + 1e-3


def losses_of(vae: VAE | LinearGaussianVAE, images: Tensor, steps: int = 10) -> list[float]:
    torch.manual_seed(0)
    svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-2}), Trace_ELBO())
    return [svi.step(images) for _ in range(steps)]


def state(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def moved(model: nn.Module, before: list[Tensor]) -> bool:
    return any(not torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("prior", list(PRIORS))
def test_two_models_in_one_session_each_train_their_own_parameters(prior):
    alone = losses_of(build(prior), IMAGES)
    pyro.clear_param_store()
    first = build(prior, "conv")
    losses_of(first, IMAGES)
    second, left = build(prior), state(first)
    assert losses_of(second, IMAGES) == alone
    assert not moved(first, left)
    of_second = state(second)
    losses_of(first, IMAGES)
    assert moved(first, left)
    assert not moved(second, of_second)


def test_a_copy_of_a_trained_model_trains_alone():
    vae = build("standard_normal")
    losses_of(vae, IMAGES)
    twin, left = copy.deepcopy(vae), state(vae)
    assert losses_of(twin, IMAGES) == losses_of(copy.deepcopy(vae), IMAGES)
    assert not moved(vae, left)
    assert moved(twin, left)


def test_the_linear_pair_has_a_store_name_of_its_own_too():
    generator = torch.Generator().manual_seed(0)
    first, second = (LinearGaussianVAE.random(2, 5, gain=2.0, noise=0.5, generator=generator).float() for _ in range(2))
    vectors, left = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)), state(first)
    losses_of(second, vectors)
    assert not moved(first, left)
    losses_of(first, vectors)
    assert moved(first, left)


def test_store_names_last_and_leave_random_numbers_alone():
    torch.manual_seed(0)
    after = torch.rand(1)
    vae = build("standard_normal")
    for _ in range(2):
        poutine.trace(vae.guide).get_trace(IMAGES)
    names = {name.partition("$$$")[0] for name in pyro.get_param_store().keys()}  # noqa: SIM118 - no iterator
    assert len(names) == 1
    torch.manual_seed(0)
    copy.deepcopy(vae)
    assert torch.equal(torch.rand(1), after)
    assert kl_divergence(copy.deepcopy(vae).posterior(IMAGES), vae.prior()).isfinite().all()
