"""Laws that every objective obeys, and what each of them equals where that is known."""

import math

import pyro
import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import Tensor, nn
from torch.distributions import Independent, MixtureSameFamily, kl_divergence

from models import noise
from models.context import Context
from models.distributions import Normal, NormalMixture
from models.linear import LinearGaussianVAE
from models.objectives import Latent, Objective, Terms
from models.objectives.info_vae import WIDTHS, squared_mmd
from models.pure import pure_pyro
from models.shapes import Shapes
from models.vae import VAE
from study.design.families import LIKELIHOODS, NETWORKS, OBJECTIVES, POSTERIORS, PRIORS
from study.run.training.step import noise_shapes

PIXELS, LATENT = 64, 3
IMAGES = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0)).bernoulli().double()


def build(
    prior: str = "standard_normal", posterior: str = "diagonal_normal", shape: tuple[int, ...] = (LATENT,)
) -> VAE:
    torch.manual_seed(0)
    context = Context(Shapes(shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(16,)), IMAGES.float())
    q = POSTERIORS[posterior](context)
    return VAE(PRIORS[prior](context.with_posterior(q)), q, LIKELIHOODS["bernoulli"](context)).double()


def draw(vae: VAE, objective: Objective, images: Tensor = IMAGES, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=generator, dtype=torch.float64) for s in noise_shapes(vae, objective, images)]


def evaluate(vae: VAE, objective: Objective, draws: list[Tensor], *args: float | Tensor) -> Terms:
    with noise.replay(draws), pure_pyro():
        return objective(vae.model, vae.guide, IMAGES, *args)


def gradients(vae: VAE, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(vae.parameters()), materialize_grads=True))


def agree(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.allclose(x, y, rtol=1e-9, atol=1e-12) for x, y in zip(a, b, strict=True))


@pytest.fixture(params=list(OBJECTIVES))
def name(request) -> str:
    return request.param


def test_reports_rate_and_distortion_of_the_elbo(name):
    """Whatever the loss makes of them, and averaged over the draws of an image."""
    vae, objective = build(), OBJECTIVES[name]()
    draws = draw(vae, objective)
    terms = evaluate(vae, objective, draws, 0.3)
    assert terms.loss.shape == ()
    assert terms.loss.isfinite()
    repeated = IMAGES.repeat(objective.draws, 1, 1, 1)
    with noise.replay(draws[:1]), pure_pyro():
        elbo = OBJECTIVES["elbo"]()(vae.model, vae.guide, repeated)
    for part in ("rate", "distortion"):
        expected = getattr(elbo, part).reshape(objective.draws, len(IMAGES)).mean(0)
        assert torch.allclose(getattr(terms, part), expected, rtol=1e-12)
        assert not getattr(terms, part).requires_grad


def test_gradient_reaches_every_parameter(name):
    vae, objective = build(), OBJECTIVES[name]()
    loss = evaluate(vae, objective, draw(vae, objective)).loss
    for (key, _), gradient in zip(vae.named_parameters(), gradients(vae, loss), strict=True):
        assert gradient.isfinite().all(), key
        assert gradient.abs().sum() > 0, key


def test_every_objective_names_its_paper(name):
    assert OBJECTIVES.signature(name).reference


@pytest.mark.parametrize("shape", [(LATENT,), (2, 2, 2)], ids=["flat", "spatial"])
@pytest.mark.parametrize("prior", ["standard_normal", "gaussian_mixture"])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_averaging_is_the_elbo_at_another_beta(prior, shape, scale):
    """With the KL averaged β is 1/D; with both terms averaged it is pixels/D, and the loss is divided by the pixels."""
    vae = build(prior, shape=shape)
    dimensions = vae.posterior.latent_shape[0] * (4 if len(shape) > 1 else 1)
    draws = draw(vae, OBJECTIVES["elbo"]())
    for name, beta, factor in [("kl_mean", 1 / dimensions, 1.0), ("both_means", PIXELS / dimensions, 1 / PIXELS)]:
        loss = evaluate(vae, OBJECTIVES[name](), draws, scale).loss
        elbo = factor * evaluate(vae, OBJECTIVES["elbo"](), draws, scale * beta).loss
        assert torch.allclose(loss, elbo, rtol=1e-12)
        assert agree(gradients(vae, loss), gradients(vae, elbo))


def test_free_bits_charge_each_dimension_for_what_exceeds_its_floor():
    vae = build()
    draws = draw(vae, OBJECTIVES["elbo"]())
    elbo = evaluate(vae, OBJECTIVES["elbo"](), draws, 0.5)
    least = evaluate(vae, OBJECTIVES["free_bits"](nats=1e-9), draws, 0.5)
    assert torch.allclose(least.loss, elbo.loss, rtol=1e-12)
    assert agree(gradients(vae, least.loss), gradients(vae, elbo.loss))
    most = evaluate(vae, OBJECTIVES["free_bits"](nats=100.0), draws, 0.5)
    free = evaluate(vae, OBJECTIVES["elbo"](), draws, torch.tensor(0.0))
    assert torch.allclose(most.loss, free.loss + 0.5 * 100.0 * LATENT)
    assert agree(gradients(vae, most.loss), gradients(vae, free.loss))
    q = vae.posterior(IMAGES).base_dist
    by_dimension = kl_divergence(q, torch.distributions.Normal(torch.zeros(LATENT).double(), 1.0)).mean(0)
    floor = float(by_dimension.median().detach())
    mixed = evaluate(vae, OBJECTIVES["free_bits"](nats=floor), draws, 0.5).loss
    assert torch.allclose(mixed, free.loss + 0.5 * by_dimension.clamp(min=floor).sum())


def test_free_bits_are_on_the_sum_where_the_prior_does_not_factorise():
    vae = build("gaussian_mixture")
    draws = draw(vae, OBJECTIVES["elbo"]())
    elbo = evaluate(vae, OBJECTIVES["elbo"](), draws)
    rate, distortion = elbo.rate.mean(), elbo.distortion.mean()
    for nats, charge in [(rate / (2 * LATENT), rate), (2 * rate / LATENT, 2 * rate)]:
        assert torch.allclose(
            evaluate(vae, OBJECTIVES["free_bits"](nats=float(nats)), draws).loss, distortion + charge, rtol=1e-6
        )


def test_capacity_holds_the_rate_from_both_sides():
    vae = build()
    draws = draw(vae, OBJECTIVES["elbo"]())
    elbo = evaluate(vae, OBJECTIVES["elbo"](), draws)
    rate, distortion = elbo.rate.mean(), elbo.distortion.mean()
    for nats in (0.5 * float(rate), 2.0 * float(rate), 4.0 * float(rate)):
        loss = evaluate(vae, OBJECTIVES["capacity"](nats=nats, gamma=3.0), draws, 0.5).loss
        assert torch.allclose(loss, distortion + 3.0 * (rate - 0.5 * nats).abs())
    free = evaluate(vae, OBJECTIVES["capacity"](nats=1.0, gamma=0.0), draws).loss
    assert torch.equal(free, distortion)


def test_committed_rate_is_a_hinge_below_the_commitment():
    vae = build()
    draws = draw(vae, OBJECTIVES["elbo"]())
    elbo = evaluate(vae, OBJECTIVES["elbo"](), draws, 0.5)
    middle = float(elbo.rate.median())
    loss = evaluate(vae, OBJECTIVES["committed_rate"](nats=middle, weight=3.0), draws, 0.5).loss
    expected = elbo.distortion + 0.5 * elbo.rate + 1.5 * (middle - elbo.rate).clamp(min=0)
    assert torch.allclose(loss, expected.mean())
    below = evaluate(vae, OBJECTIVES["committed_rate"](nats=1e-9, weight=3.0), draws, 0.5).loss
    assert torch.allclose(below, elbo.loss)


def test_total_correlation_is_that_of_the_batchs_mixture():
    vae = build(shape=(2, 2, 2))
    draws = draw(vae, OBJECTIVES["elbo"]())
    losses = [evaluate(vae, OBJECTIVES["beta_tcvae"](total_correlation=w), draws, 0.5).loss for w in (1.0, 3.0)]
    elbo = evaluate(vae, OBJECTIVES["elbo"](), draws, 0.5).loss
    assert torch.allclose(losses[0], elbo)
    with noise.replay(draws), pure_pyro():
        z = vae.guide(IMAGES).flatten(1)
    q = vae.posterior(IMAGES).base_dist
    even = torch.distributions.Categorical(logits=torch.zeros(len(IMAGES), dtype=torch.float64))
    normals = torch.distributions.Normal(q.loc.flatten(1), q.scale.flatten(1))
    joint = MixtureSameFamily(even, Independent(normals, 1)).log_prob(z)
    marginals = [
        MixtureSameFamily(even, torch.distributions.Normal(normals.loc[:, d], normals.scale[:, d])).log_prob(z[:, d])
        for d in range(z.shape[1])
    ]
    assert torch.allclose(losses[1] - elbo, 0.5 * 2.0 * (joint - sum(marginals)).mean())


@pytest.mark.parametrize("variant", ["I", "II"])
def test_dip_penalises_the_covariance_without_forming_it(variant):
    vae = build()
    draws = draw(vae, OBJECTIVES["elbo"]())
    loss = evaluate(vae, OBJECTIVES["dip"](variant=variant, off_diagonal=3.0, diagonal=2.0), draws, 0.5).loss
    q = vae.posterior(IMAGES)
    covariance = q.mean.T.cov(correction=0) + (q.variance.mean(0).diag() if variant == "II" else 0)
    off_diagonal = covariance - covariance.diagonal().diag()
    penalty = 3.0 * off_diagonal.square().sum() + 2.0 * (covariance.diagonal() - 1).square().sum()
    assert torch.allclose(loss, evaluate(vae, OBJECTIVES["elbo"](), draws, 0.5).loss + 0.5 * penalty)


def test_info_vae_reweights_the_kl_beside_the_discrepancy():
    vae = build("gaussian_mixture")
    draws = draw(vae, OBJECTIVES["elbo"]())
    elbo = evaluate(vae, OBJECTIVES["elbo"](), draws, 0.5)
    discrepancy = (evaluate(vae, OBJECTIVES["info_vae"](divergence=2.0), draws, 0.5).loss - elbo.loss) / 0.5
    assert torch.allclose(evaluate(vae, OBJECTIVES["info_vae"](divergence=1.0), draws, 0.5).loss, elbo.loss)
    wae = evaluate(vae, OBJECTIVES["info_vae"](information=1.0, divergence=7.0), draws, 0.5).loss
    assert torch.allclose(wae, elbo.distortion.mean() + 0.5 * 7.0 * discrepancy)


@pytest.mark.parametrize("kind", ["normal", "mixture"])
def test_discrepancy_is_unbiased_and_zero_for_equal_distributions(kind):
    """Against kernels at drawn pairs: detects an error of five standard errors, about 0.05 of a kernel sum of five."""
    torch.manual_seed(0)
    loc, scale = torch.randn(3, 2, dtype=torch.float64), torch.rand(3, 2, dtype=torch.float64) + 0.5
    p = Normal(loc[0], scale[0]).to_event(1).expand((40,))
    if kind == "mixture":
        p = NormalMixture(torch.tensor([0.0, 0.5, -0.5], dtype=torch.float64), loc, scale).expand((40,))
    other = torch.distributions.Normal(torch.ones(2).double(), 2.0)

    def estimates(sample) -> Tensor:
        sites = [Latent("z", p, sample(), 1.0, None, torch.zeros(40), p) for _ in range(100)]
        return torch.stack([squared_mmd(site) for site in sites])

    zero, apart = estimates(p.sample), estimates(lambda: other.sample((40,)))
    assert abs(float(zero.mean())) < 5 * float(zero.std()) / math.sqrt(100)
    z, w = other.sample((20_000,)), other.sample((20_000,))
    y, v = p.sample((500,)).flatten(0, 1), p.sample((500,)).flatten(0, 1)
    pairs = kernel(z, w) - kernel(z, y) - kernel(w, v) + kernel(y, v)
    error = math.hypot(float(pairs.std()) / math.sqrt(20_000), float(apart.std()) / math.sqrt(100))
    assert abs(float(apart.mean() - pairs.mean())) < 5 * error
    assert float(apart.mean()) > 10 * error


def kernel(x: Tensor, y: Tensor) -> Tensor:
    square = (x - y).square().sum(1)
    return sum((-square / (2 * width * x.shape[1])).exp() for width in WIDTHS)


class Linear(nn.Module):
    """The linear-Gaussian model with a guide of its own, off the exact posterior by ``shift`` and ``spread``."""

    def __init__(self, shift: float, spread: float) -> None:
        super().__init__()
        self.exact = LinearGaussianVAE.random(2, 4, gain=2.0, noise=0.8, generator=torch.Generator().manual_seed(0))
        self.recognition = nn.Parameter(self.exact.recognition.detach() + shift)
        self.scale = nn.Parameter(spread * self.exact.posterior_variance.detach().sqrt())

    def model(self, images: Tensor) -> None:
        self.exact.model(images)

    def guide(self, images: Tensor) -> None:
        loc = (images - self.exact.bias.detach()) @ self.recognition.T
        with pyro.plate("images", len(images)):
            pyro.sample("z", Normal(loc, self.scale.expand_as(loc)).to_event(1))


@pytest.mark.parametrize("name", ["iwae", "dreg_iwae"])
def test_importance_bound_of_the_exact_guide_is_the_log_marginal(name):
    pair = Linear(0.0, 1.0)
    x = pair.exact.simulate(20, torch.Generator().manual_seed(1))
    for draws in (1, 7):
        with pure_pyro():
            loss = OBJECTIVES[name](draws=draws)(pair.model, pair.guide, x).loss
        assert torch.allclose(loss, -pair.exact.marginal().log_prob(x).mean(), rtol=1e-12)
    if name == "dreg_iwae":
        with pure_pyro():
            loss = OBJECTIVES[name]()(pair.model, pair.guide, x).loss
        for gradient in torch.autograd.grad(loss, [pair.recognition, pair.scale]):
            assert gradient.abs().max() < 1e-9, "at the optimum every draw's gradient vanishes"


def test_importance_bound_tightens_with_its_draws():
    """One image 20,000 times: bounds of K = 1, 4, 16 are apart by more than five standard errors each."""
    pair = Linear(0.1, 1.6)
    x = pair.exact.simulate(1, torch.Generator().manual_seed(1)).expand(20_000, -1)
    torch.manual_seed(0)
    with torch.no_grad(), pure_pyro():
        losses = [float(OBJECTIVES["iwae"](draws=draws)(pair.model, pair.guide, x).loss) for draws in (1, 4, 16)]
        elbo = OBJECTIVES["elbo"]()(pair.model, pair.guide, x)
    error = float((elbo.rate + elbo.distortion).std()) / math.sqrt(20_000)
    assert losses[0] - losses[1] > 5 * error
    assert losses[1] - losses[2] > 5 * error
    assert losses[2] > float(-pair.exact.marginal().log_prob(x[0]).detach()) - 5 * error
    assert abs(losses[0] - float(elbo.loss)) < 5 * error


def test_one_importance_draw_is_pyros_sampled_elbo():
    vae, objective = build(), OBJECTIVES["iwae"](draws=1)
    draws = draw(vae, objective)
    with noise.replay(draws), pure_pyro():
        theirs = Trace_ELBO().differentiable_loss(vae.model, vae.guide, IMAGES, 0.7) / len(IMAGES)
    own = evaluate(vae, objective, draws, 0.7).loss
    assert torch.allclose(own, theirs, rtol=1e-12)
    assert agree(gradients(vae, own), gradients(vae, theirs))


def test_double_reparameterisation_has_the_same_gradient_in_expectation_and_less_noise():
    """Guide: means of 50 gradients agree within five standard errors. Model: equal draw by draw."""
    pair = Linear(0.1, 1.3)
    x = pair.exact.simulate(1, torch.Generator().manual_seed(1)).expand(40, -1)
    guide, model = [pair.recognition, pair.scale], list(pair.exact.parameters())
    samples: dict[str, list[Tensor]] = {"iwae": [], "dreg_iwae": []}
    for seed in range(50):
        of_model = {}
        for name, found in samples.items():
            torch.manual_seed(seed)
            with pure_pyro():
                loss = OBJECTIVES[name](draws=6)(pair.model, pair.guide, x).loss
            *of_guide, first, second = torch.autograd.grad(loss, guide + model)
            of_model[name] = [loss, first, second]
            found.append(torch.cat([gradient.flatten() for gradient in of_guide]))
        assert agree(*of_model.values())
    iwae, dreg = (torch.stack(found) for found in samples.values())
    error = (iwae - dreg).std(0) / math.sqrt(50)
    assert ((iwae - dreg).mean(0).abs() < 5 * error).all()
    assert (dreg.var(0) < 0.5 * iwae.var(0)).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("free_bits", {"nats": 0.0}, "nats must be positive"),
        ("capacity", {"nats": -1.0}, "must not be negative"),
        ("capacity", {"gamma": -1.0}, "must not be negative"),
        ("committed_rate", {"nats": 0.0}, "nats must be positive"),
        ("committed_rate", {"weight": 1.0}, "must exceed 1"),
        ("iwae", {"draws": 0}, "at least 1"),
        ("dreg_iwae", {"draws": 0}, "at least 1"),
        ("beta_tcvae", {"total_correlation": -1.0}, "must not be negative"),
        ("dip", {"diagonal": -1.0}, "must not be negative"),
        ("dip", {"off_diagonal": -1.0}, "must not be negative"),
        ("info_vae", {"information": 1.5}, "at most 1"),
        ("info_vae", {"information": 0.5, "divergence": 0.4}, "at least"),
    ],
)
def test_impossible_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        OBJECTIVES[name](**options)


def test_pairs_that_an_objective_cannot_score_are_refused():
    low_rank = build(posterior="low_rank_normal")
    for objective in (OBJECTIVES["beta_tcvae"](), OBJECTIVES["dip"](variant="II")):
        with pytest.raises(ValueError, match="needs a posterior that factorises"):
            evaluate(low_rank, objective, draw(low_rank, OBJECTIVES["elbo"]()))
    student = build("student_t")
    with pytest.raises(ValueError, match="needs a prior that is a normal or a mixture"):
        evaluate(student, OBJECTIVES["info_vae"](), draw(student, OBJECTIVES["elbo"]()))
