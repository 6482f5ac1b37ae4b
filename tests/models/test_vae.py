"""VAE: a genuine Pyro pair, under Pyro's own inference, and the project's objective against Pyro's."""

import pyro
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, TraceMeanField_ELBO
from pyro.optim import Adam
from torch.distributions import kl_divergence

from models import noise
from models.context import Context
from models.objectives.elbo import kl_method
from models.pure import pure_pyro
from models.shapes import Shapes
from models.vae import VAE
from study.design.families import LIKELIHOODS, NETWORKS, OBJECTIVES, POSTERIORS, PRIORS
from study.run.training.step import noise_shapes

# Four patterns, four times each: something that a network can learn in sixty steps.
IMAGES = (torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float().repeat(4, 1, 1, 1)


def build(prior: str = "standard_normal", latent_shape: tuple[int, ...] = (3,)) -> VAE:
    torch.manual_seed(0)
    context = Context(Shapes(latent_shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(32,)), IMAGES)
    on_sphere = PRIORS[prior].support == "sphere"
    posterior = POSTERIORS["von_mises_fisher" if on_sphere else "diagonal_normal"](context)
    return VAE(PRIORS[prior](context.with_posterior(posterior)), posterior, LIKELIHOODS["bernoulli"](context))


@pytest.fixture(autouse=True)
def _clean_store():
    pyro.clear_param_store()
    yield
    pyro.clear_param_store()


@pytest.mark.parametrize("loss", [Trace_ELBO, TraceMeanField_ELBO])
@pytest.mark.parametrize("prior", list(PRIORS))
def test_trains_under_pyros_own_svi(loss, prior):
    vae = build(prior)
    before = [p.detach().clone() for p in vae.parameters()]
    svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-2}), loss())
    torch.manual_seed(0)
    losses = [svi.step(IMAGES) for _ in range(60)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert all(not torch.equal(p, old) for p, old in zip(vae.parameters(), before, strict=True))


@pytest.mark.parametrize("latent_scale", [1.0, 0.25, 4.0])
@pytest.mark.parametrize("prior", list(PRIORS))
def test_objective_equals_pyros_mean_field_elbo_with_its_gradients(prior, latent_scale):
    vae = build(prior)
    elbo, objective = TraceMeanField_ELBO(), OBJECTIVES["elbo"]()
    draws = [torch.randn(s) for s in noise_shapes(vae, objective, IMAGES)]
    with noise.replay(draws), pure_pyro():
        theirs = elbo.differentiable_loss(vae.model, vae.guide, IMAGES, latent_scale) / len(IMAGES)
    gradients = torch.autograd.grad(theirs, list(vae.parameters()))
    with noise.replay(draws), pure_pyro():
        terms = objective(vae.model, vae.guide, IMAGES, latent_scale)
    own = torch.autograd.grad(terms.loss, list(vae.parameters()))
    assert torch.allclose(theirs, terms.loss, rtol=1e-6)
    for a, b in zip(gradients, own, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-7)
    assert torch.allclose(terms.loss, (terms.distortion + latent_scale * terms.rate).mean(), rtol=1e-6)


def test_rate_is_the_closed_form_kl():
    vae = build()
    with torch.no_grad(), pure_pyro():
        terms = OBJECTIVES["elbo"]()(vae.model, vae.guide, IMAGES)
        assert torch.allclose(terms.rate, kl_divergence(vae.posterior(IMAGES), vae.prior()), rtol=1e-6)
    assert kl_method(vae.posterior(IMAGES), vae.prior()) == "closed form"
    assert kl_method(vae.posterior(IMAGES), build("gaussian_mixture").prior()) == "sampled"


def test_masks_of_sites_are_honoured():
    vae, mask = build(), torch.arange(16) < 4
    objective = OBJECTIVES["elbo"]()

    def masked(function):
        return pyro.poutine.mask(function, mask=mask)

    with torch.no_grad(), pure_pyro(), noise.replay([torch.zeros(16, 3)]):
        part = objective(masked(vae.model), masked(vae.guide), IMAGES)
    with torch.no_grad(), pure_pyro(), noise.replay([torch.zeros(4, 3)]):
        alone = objective(vae.model, vae.guide, IMAGES[:4])
    assert torch.allclose(part.loss * 16, alone.loss * 4, rtol=1e-5)
    assert not part.rate[4:].any()
    assert not part.distortion[4:].any()


def test_spatial_latents_and_parameters_are_registered_once():
    vae = build("vamp", (2, 4, 4))
    with pure_pyro():
        assert vae.guide(IMAGES).shape == (16, 2, 4, 4)
        assert vae.model(IMAGES).shape == (16, 2, 4, 4)
    names = [name for name, _ in vae.named_parameters(remove_duplicate=False)]
    assert len(names) == len(set(names)) == len(vae.state_dict())


def test_nothing_is_left_in_the_global_store_by_pure_pyro():
    vae = build()
    with pure_pyro():
        vae.model(IMAGES)
    assert not list(pyro.get_param_store().keys())


@pytest.mark.parametrize(
    ("prior", "posterior"), [("hypersphere", "diagonal_normal"), ("standard_normal", "von_mises_fisher")]
)
def test_latents_of_two_kinds_are_refused(prior, posterior):
    context = Context(Shapes((3,), (1, 8, 8)), NETWORKS["mlp"](hidden=(8,)), IMAGES)
    q = POSTERIORS[posterior](context)
    with pytest.raises(ValueError, match="infinite KL"):
        VAE(PRIORS[prior](context.with_posterior(q)), q, LIKELIHOODS["bernoulli"](context))
