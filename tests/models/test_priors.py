"""Laws that every prior obeys; a new file in models/priors is under all of them.

They hold at a prior as training would leave it: in evaluation mode, with every parameter moved from its start. A prior
that refuses a shape is let off at that shape, and one that refuses a posterior is built with another; every prior must
hold D = 2. Densities on a sphere are integrated over the circle, all others over the plane. A density that is known up
to an estimated constant carries its error as ``log_prob_standard_error``, and normalises within five of them.
"""

import math
from functools import cache

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace, kl_divergence
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_unflatten

from analysis.precision import log_prob_float64
from models.context import Context
from models.distributions import Sphere
from models.posteriors import Posterior
from models.priors import Prior
from models.shapes import Shapes
from models.vae import VAE
from study.design.families import LIKELIHOODS, NETWORKS, OBJECTIVES, POSTERIORS, PRIORS
from study.run.training.state import State
from study.run.training.step import Batch, PureStep, noise_shapes

EVENT = {"flat": (2,), "line": (1,), "spatial": (4, 2, 2)}
SMALL = {"hidden": 16, "components": 5, "exemplars": 12, "proposals": 100, "units": 16, "steps": 8}
"""Sizes of the options that have one, so that a density costs little."""

DRAWS = 20_000
KOLMOGOROV = 1.95 / math.sqrt(DRAWS)
"""Distance that uniform draws exceed with p < 1e-3; one of 0.028, twice as much, is all but certain to be seen."""


def context(latent_shape: tuple[int, ...], seed: int = 7) -> Context:
    torch.manual_seed(seed)
    return Context(Shapes(latent_shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(16,)), torch.rand(20, 1, 8, 8))


def small(name: str) -> dict[str, object]:
    options = [option for option in PRIORS.options(name).values() if option.name in SMALL]
    return {o.name: (SMALL[o.name],) if isinstance(o.default, tuple) else SMALL[o.name] for o in options}


def pair(name: str, latent_shape: tuple[int, ...], seed: int = 7) -> tuple[Prior, Posterior]:
    """A new prior and the posterior it was built with, the first that it takes."""
    refusals = []
    for other in sorted(POSTERIORS, key=lambda posterior: posterior != "diagonal_normal"):
        if POSTERIORS[other].support != PRIORS[name].support:
            continue
        parts = context(latent_shape, seed)
        try:
            posterior = POSTERIORS[other](parts)
            return PRIORS[name](parts.with_posterior(posterior), **small(name)), posterior
        except ValueError as refusal:
            refusals.append(str(refusal))
    assert math.prod(latent_shape) != 2, refusals
    pytest.skip("; ".join(refusals))


def untrained(name: str, latent_shape: tuple[int, ...], seed: int = 7) -> Prior:
    prior, posterior = pair(name, latent_shape, seed)
    prior.posterior_for_tests = posterior  # keeps what the prior may borrow alive, and under .double()
    return prior


def own(prior: Prior) -> dict[str, Tensor]:
    return {key: p for key, p in prior.named_parameters() if not key.startswith("posterior_for_tests")}


@torch.no_grad()
def build(name: str, latent_shape: tuple[int, ...], seed: int = 7) -> Prior:
    prior = untrained(name, latent_shape, seed)
    for parameter in own(prior).values():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return prior.eval()


def on_sphere(prior: Distribution) -> bool:
    return isinstance(prior.support, Sphere)


def standard_error(prior: Distribution) -> float:
    return float(torch.as_tensor(getattr(prior, "log_prob_standard_error", 0.0)).detach())


@pytest.fixture(params=list(PRIORS))
def name(request) -> str:
    return request.param


@pytest.mark.parametrize("shape", EVENT.values(), ids=EVENT)
def test_event_shape_is_the_latent_shape(name, shape):
    prior = build(name, shape)()
    assert prior.event_shape == shape
    assert prior.batch_shape == ()
    assert prior.sample((5,)).shape == (5, *shape)
    assert prior.log_prob(prior.sample((5,))).shape == (5,)
    wide = prior.expand((3,))
    assert wide.sample((4,)).shape == (4, 3, *shape)
    assert wide.log_prob(wide.sample((4,))).shape == (4, 3)


LINE = torch.linspace(-10, 10, 201, dtype=torch.float64)
ANGLES = torch.linspace(0, 2 * math.pi, 20_001, dtype=torch.float64)


@cache
@torch.no_grad()
def plane(name: str) -> tuple[Distribution, Tensor]:
    """The prior at D = 2 in float64, and its density on LINE × LINE, or at ANGLES where it lives on the circle."""
    prior = build(name, (2,)).double()()
    if on_sphere(prior):
        return prior, prior.log_prob(torch.stack([ANGLES.cos(), ANGLES.sin()], 1)).exp()
    grid = torch.cartesian_prod(LINE, LINE)
    density = torch.cat([prior.log_prob(chunk) for chunk in grid.split(50_000)]).exp()
    return prior, density.reshape(len(LINE), len(LINE))


@torch.no_grad()
def mass(prior: Distribution, panels: int) -> float:
    """The integral of a density over [−10, 10]², by the Gauss–Legendre rule of two points in equal panels.

    Panels split at 0, where densities may have a kink. Within smooth panels the error is of the fourth order in their
    width, at a kink inside of one of the second.
    """
    half = 10 / panels
    points = half / math.sqrt(3) * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    centres = torch.linspace(-10 + half, 10 - half, panels, dtype=torch.float64)
    nodes = (centres[:, None] + points).flatten()
    chunks = torch.cartesian_prod(nodes, nodes).split(50_000)
    return half**2 * float(sum(prior.log_prob(chunk).exp().sum() for chunk in chunks))


def test_normalises_in_two_dimensions(name):
    """Over the circle, or over [−10, 10]² in panels of 0.2 or, where kinks need them, of 0.1; within 1e-3."""
    prior, density = plane(name)
    one = pytest.approx(1, abs=1e-3 + 5 * standard_error(prior))
    if on_sphere(prior):
        assert float(torch.trapezoid(density, ANGLES)) == one
    else:
        assert mass(prior, 100) == one or mass(prior, 200) == one


@pytest.mark.parametrize(("centre", "tolerance"), [(0.0, 1e-5), (0.037, 1e-3), (0.05, 1e-3), (0.1, 1e-3)])
def test_quadrature_holds_kinks(centre, tolerance):
    """Of a Laplace density of scale 0.7: between panels, in the middle of one, and elsewhere."""
    loc, scale = torch.full((2,), centre, dtype=torch.float64), torch.full((2,), 0.7, dtype=torch.float64)
    assert mass(Independent(Laplace(loc, scale), 1), 200) == pytest.approx(1, abs=tolerance)


def test_samples_follow_the_density_in_two_dimensions(name):
    """Rosenblatt's transform: F₁(z₁) and F(z₂ | z₁) are uniform, and so is their sum modulo 1: they are independent."""
    prior, density = plane(name)
    torch.manual_seed(0)
    z = prior.sample((DRAWS,))
    if on_sphere(prior):
        angle = torch.atan2(z[:, 1], z[:, 0]) % (2 * math.pi)
        assert_uniform(interpolated(torch.cumulative_trapezoid(density, ANGLES), angle, ANGLES))
        return
    marginal = torch.cumulative_trapezoid(torch.trapezoid(density, LINE), LINE)
    first = interpolated(marginal / marginal[-1], z[:, 0], LINE)
    given = torch.cumulative_trapezoid(density, LINE)
    given = given / given[:, -1:].clamp(min=1e-300)
    row, weight = located(z[:, 0], LINE)
    low, high = (interpolated(given[r], z[:, 1], LINE) for r in (row, row + 1))
    second = (1 - weight) * low + weight * high
    for uniform in (first, second, (first + second) % 1):
        assert_uniform(uniform)


def located(at: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the grid point below each value, and the value's place between that one and the next."""
    index = (torch.searchsorted(grid, at.contiguous()) - 1).clamp(0, len(grid) - 2)
    return index, (at - grid[index]) / (grid[1] - grid[0])


def interpolated(cdf: Tensor, at: Tensor, grid: Tensor) -> Tensor:
    """Values ``at`` ``(n,)`` of a cumulated density ``(G − 1,)``, or of one row ``(n, G − 1)`` for each."""
    index, weight = located(at, grid)
    table = torch.nn.functional.pad(cdf, (1, 0)).expand(len(at), -1)
    low, high = (table.gather(1, (index + step)[:, None])[:, 0] for step in (0, 1))
    return low + weight * (high - low)


def assert_uniform(values: Tensor) -> None:
    expected = torch.linspace(0, 1, len(values), dtype=values.dtype)
    assert float((values.sort().values - expected).abs().max()) < KOLMOGOROV


def test_normalises_and_samples_in_one_dimension(name):
    prior = build(name, (1,)).double()()
    if on_sphere(prior):
        assert float(prior.log_prob(torch.tensor([[-1.0], [1.0]], dtype=torch.float64)).exp().sum()) == pytest.approx(1)
        return
    grid = torch.linspace(-20, 20, 10_001, dtype=torch.float64)
    with torch.no_grad():
        cdf = torch.cumulative_trapezoid(prior.log_prob(grid[:, None]).exp(), grid)
    assert float(cdf[-1]) == pytest.approx(1, abs=1e-4 + 5 * standard_error(prior))
    torch.manual_seed(0)
    assert_uniform(interpolated(cdf / cdf[-1], prior.sample((DRAWS,))[:, 0], grid))


def test_gradient_reaches_every_parameter_and_the_latents(name):
    prior = build(name, (2,)).train()
    distribution, reached = prior(), own(prior)
    z = distribution.sample((64,)).requires_grad_()
    if not on_sphere(distribution):  # where a density may be constant
        reached["z"] = z
    gradients = torch.autograd.grad(distribution.log_prob(z).sum(), list(reached.values())) if reached else ()
    for key, gradient in zip(reached, gradients, strict=True):
        assert gradient.isfinite().all(), key
        assert gradient.abs().sum() > 0, key


def test_state_round_trips_through_safetensors(name):
    """The state is the whole of the prior, its buffers included: another start and other examples leave no trace."""
    prior, other = build(name, (2,)), build(name, (2,), seed=8)
    z = prior().sample((10,))
    other.load_state_dict(load(save(prior.state_dict())))
    assert torch.equal(prior().log_prob(z), other().log_prob(z))


def test_evaluation_in_double_precision(name):
    """Both ways to float64: the module cast, and the distribution of a module in float32."""
    prior = build(name, (2,))
    z = prior().sample((20,)).double()
    stored = log_prob_float64(prior(), z)
    cast = prior.double()().log_prob(z)
    assert cast.dtype == torch.float64
    assert torch.allclose(stored, cast, rtol=1e-5, atol=1e-5)
    assert prior().sample((2,)).dtype == torch.float64


def test_autocast_does_not_reach_the_density(name):
    prior = build(name, (4, 2, 2))()
    z = prior.sample((20,))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        inside = prior.log_prob(z)
    assert torch.equal(inside, prior.log_prob(z).detach())


@pytest.mark.parametrize("shape", [(2,), (4, 2, 2)], ids=["flat", "spatial"])
def test_kl_in_closed_form_agrees_with_draws(name, shape):
    prior = build(name, shape)
    torch.manual_seed(0)
    with torch.no_grad():
        q = prior.posterior_for_tests(torch.rand(3, 1, 8, 8))
        p = prior()
        try:
            exact = kl_divergence(q, p)
        except NotImplementedError:
            pytest.skip("this pair has no closed form; objectives sample it")
        z = q.rsample((20_000,))
        integrands = q.log_prob(z) - p.log_prob(z)
    # Detects a bias of five standard errors, about 0.03 nats at D = 16.
    assert ((integrands.mean(0) - exact).abs() < 5 * integrands.std(0) / math.sqrt(20_000)).all()


def test_training_starts_near_the_standard_normal(name):
    """KL(N(0, I) ‖ p) at D = 8 before training is below two nats, a quarter per dimension."""
    prior = untrained(name, (8,)).eval()()
    if on_sphere(prior):
        pytest.skip("a density on the sphere is none on R⁸")
    z = torch.randn(2_000, 8, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    with torch.no_grad():
        assert float((normal - prior.log_prob(z)).mean()) < 2


def test_training_step_of_two_replicates_is_one_graph_that_reads_no_value(name):
    """Tracing the mapped step with fake tensors fails at any ``.item()``, branch on a value, or shape by a value."""
    prior, posterior = pair(name, (3,))
    vae = VAE(prior, posterior, LIKELIHOODS["bernoulli"](context((3,))))
    objective = OBJECTIVES["elbo"]()
    images = torch.rand(6, 1, 8, 8)
    draws = [torch.randn(2, *shape) for shape in noise_shapes(vae, objective, images[:4])]
    indices = torch.randint(6, (2, 4))
    batch = Batch(images[None], indices, draws, torch.tensor(1.0), torch.tensor(1e-3), torch.tensor(1.0))
    state, step = State.initial([vae] * 2), PureStep(vae, objective)
    inputs, layout = tree_flatten((state.parameters, state.buffers, tuple(batch)))

    def losses(*tensors: Tensor) -> Tensor:
        parameters, buffers, parts = tree_unflatten(list(tensors), layout)
        return step.gradients(State(parameters, {}, {}, buffers, state.count), Batch(*parts))[2]

    with torch.no_grad():
        graph = make_fx(losses, tracing_mode="fake")(*inputs)
        assert torch.allclose(graph(*inputs), losses(*inputs), rtol=1e-5)


def test_every_prior_names_its_paper(name):
    assert PRIORS.signature(name).reference


REFUSED = [
    ("gaussian_mixture", {"components": 0}),
    ("gaussian_mixture", {"spread": 0.0}),
    ("gaussian_mixture", {"components": 2**28}),
    ("vamp", {"components": 0}),
    ("vamp", {"components": 2**26}),
    ("vamp_mixture", {"components": 0}),
    ("vamp_mixture", {"width": -1.0}),
    ("exemplar", {"exemplars": 1}),
    ("exemplar", {"exemplars": 2**26}),
    ("exemplar", {"scale": 0.0}),
    ("student_t", {"df": 2.0}),
    ("realnvp", {"transforms": 0}),
    ("maf", {"hidden": ()}),
    ("maf", {"hidden": (0,)}),
    ("spline_flow", {"bins": 1}),
    ("spline_flow", {"hidden": (2**15, 2**15)}),
    ("hierarchical", {"hidden": (0,)}),
    ("hierarchical", {"hidden": (2**15, 2**15)}),
    ("autoregressive", {"components": 0}),
    ("autoregressive", {"hidden": ()}),
    ("autoregressive", {"hidden": (2**15, 2**15)}),
]


@pytest.mark.parametrize(("name", "options"), REFUSED, ids=str)
def test_impossible_options_are_refused_by_name(name, options):
    parts = context((2,))
    (option,) = options
    with pytest.raises(ValueError, match=rf"prior\.{option}"):
        PRIORS[name](parts.with_posterior(POSTERIORS["diagonal_normal"](parts)), **options)


@pytest.mark.parametrize("name", ["vamp", "vamp_mixture", "exemplar"])
def test_priors_made_of_posteriors_need_one(name):
    with pytest.raises(ValueError, match="context that holds one"):
        PRIORS[name](context((2,)))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("full_normal", "16,000,000,000,000 bytes"),
        ("realnvp", "parameters"),
        ("maf", "parameters"),
        ("spline_flow", "parameters"),
        ("autoregressive", "parameters"),
    ],
)
def test_latents_too_large_are_refused_before_memory_is_taken(name, says):
    """At D = 1,000,000 each of these would ask for more memory than there is, and fail with another error."""
    with pytest.raises(ValueError, match=says):
        PRIORS[name](Context(Shapes((10**6,), (1, 8, 8)), NETWORKS["mlp"]()))


@torch.no_grad()
def test_vamp_is_the_aggregate_posterior_of_its_pseudo_inputs():
    prior, posterior = pair("vamp", (2,))
    z = torch.randn(30, 2)
    assert prior.pseudo_inputs.min() >= 0
    assert prior.pseudo_inputs.max() <= 1
    prior.raw_inputs.fill_(100.0)
    assert prior.pseudo_inputs.max() == 1
    q = posterior(prior.pseudo_inputs)
    expected = q.log_prob(z[:, None]).logsumexp(1) - math.log(len(prior.pseudo_inputs))
    assert torch.allclose(prior().log_prob(z), expected, atol=1e-5)
