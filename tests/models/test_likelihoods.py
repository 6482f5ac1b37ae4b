"""Laws that every likelihood obeys; a new file in models/likelihoods is under all of them.

Those over a continuum are integrated over their support, those over levels summed. On single pixels, since pixels are
independent given z.
"""

import math

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.distributions import ContinuousBernoulli as Reference
from torch.distributions import Distribution, constraints

from analysis.precision import to_float64
from models.context import Context
from models.likelihoods import Likelihood
from models.likelihoods.continuous_bernoulli import ContinuousPixels
from models.likelihoods.discretised_logistic import LogisticLevels
from models.shapes import Shapes
from study.design.families import LIKELIHOODS, NETWORKS

LEVELS = {"bernoulli": 2, "discretised_logistic": 256}
SHAPE = (2, 4, 4)
GAUSSIANS = ["gaussian_shared", "gaussian_predicted"]


def build(name: str, shape: tuple[int, ...] = SHAPE, **options: object) -> Likelihood:
    torch.manual_seed(3)
    likelihood = LIKELIHOODS[name](Context(Shapes((3,), shape), NETWORKS["mlp"](hidden=(16,))), **options)
    with torch.no_grad():
        for parameter in likelihood.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return likelihood


def latents(num: int = 6) -> Tensor:
    return torch.randn(num, 3, generator=torch.Generator().manual_seed(5))


def values(name: str, p: Distribution) -> tuple[Tensor, Tensor]:
    """Pixel values ``(V,)`` of the support and what each weighs in a sum over it."""
    if name in LEVELS:
        points = torch.linspace(0, 1, LEVELS[name], dtype=torch.float64)
        return points, torch.ones_like(points)
    on_unit_interval = p.support.base_constraint is constraints.unit_interval
    points = torch.linspace(*((0, 1) if on_unit_interval else (-8, 9)), 200_001, dtype=torch.float64)
    weight = torch.full_like(points, float(points[1] - points[0]))
    weight[[0, -1]] /= 2
    return points, weight


@pytest.fixture(params=list(LIKELIHOODS))
def name(request) -> str:
    return request.param


def test_shapes(name):
    p = build(name)(latents())
    assert p.event_shape == SHAPE
    assert p.batch_shape == (6,)
    x = p.sample((2,))
    assert x.shape == (2, 6, *SHAPE)
    assert p.log_prob(x).shape == (2, 6)
    assert p.expand((4, 6)).log_prob(x[0]).shape == (4, 6)
    assert torch.allclose(p.expand((4, 6)).log_prob(x[0])[0], p.log_prob(x[0]))


def test_normalises_with_the_mean_that_it_shows(name):
    """The mean of the discretised logistic is within half a level, 0.002, of that of its masses; others are exact.

    To 1e-7, since at a kink of a density the trapezoid of step 8.5e-5 errs by its square times the change of slope.
    """
    p = to_float64(build(name, (1, 1, 1))(latents()))
    points, weight = values(name, p)
    with torch.no_grad():
        mass = p.log_prob(points[:, None, None, None, None]).exp() * weight[:, None]
    assert torch.allclose(mass.sum(0), torch.ones(6, dtype=torch.float64), atol=1e-8)
    tolerance = 1 / 510 if name == "discretised_logistic" else 1e-7
    assert ((points @ mass) - p.mean.flatten()).abs().max() <= tolerance


def test_the_mean_is_a_picture(name):
    p = build(name)(10 * latents())
    assert p.mean.shape == (6, *SHAPE)
    assert p.mean.min() >= 0
    assert p.mean.max() <= 1 + 1e-6
    assert p.mean.std() > 0.01


def test_draws_have_the_mean_that_it_shows(name):
    p = build(name)(latents())
    torch.manual_seed(0)
    with torch.no_grad():
        x = p.sample((20_000,)).double()
        slack = 1 / 510 if name == "discretised_logistic" else 0
        assert ((x.mean(0) - p.mean).abs() < 5 * x.std(0) / math.sqrt(20_000) + slack).all()


def test_density_follows_the_dtype(name):
    p = build(name)(latents())
    x = p.sample()
    exact = to_float64(p).log_prob(x.double())
    assert exact.dtype == torch.float64
    assert torch.allclose(exact.float(), p.log_prob(x), rtol=1e-4, atol=1e-3)


def test_gradient_reaches_every_parameter(name):
    likelihood, z = build(name), latents().requires_grad_()
    p = likelihood(z)
    p.log_prob(p.sample()).sum().backward()
    assert z.grad.abs().sum() > 0
    for key, parameter in likelihood.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().sum() > 0, key


def test_state_round_trips_through_safetensors(name):
    likelihood, other = build(name), build(name)
    x = likelihood(latents()).sample()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
        other.load_state_dict(load(save(likelihood.state_dict())))
        assert torch.equal(likelihood(latents()).log_prob(x), other(latents()).log_prob(x))


def test_every_likelihood_names_its_paper(name):
    assert LIKELIHOODS.signature(name).reference


def test_continuous_bernoulli_is_torchs_and_safe_where_that_is_not():
    logits = torch.tensor([-8.0, -1.0, -0.41, -0.39, -1e-3, 1e-3, 0.39, 0.41, 2.0, 8.0], dtype=torch.float64)
    x = torch.linspace(0, 1, 11, dtype=torch.float64)[:, None]
    own, reference = ContinuousPixels(logits[:, None], 1), Reference(logits=logits, validate_args=False)
    assert torch.allclose(own.log_prob(x[..., None]), reference.log_prob(x), atol=1e-9)
    assert torch.allclose(own.mean[:, 0], reference.mean, atol=1e-9)
    extreme = torch.tensor([-500.0, 0.0, 500.0], requires_grad=True)
    ends = ContinuousPixels(extreme[:, None], 1)
    log_prob = ends.log_prob(torch.tensor([[0.0], [0.3], [1.0]]))
    assert torch.allclose(log_prob, torch.tensor([math.log(500), 0.0, math.log(500)]))
    (gradient,) = torch.autograd.grad(log_prob.sum() + ends.mean.sum(), extreme)
    assert torch.allclose(gradient[1], torch.tensor(0.3 - 0.5 + 1 / 12))
    assert gradient.isfinite().all()
    assert ((ends.mean >= 0) & (ends.mean <= 1)).all()


def test_logistic_masses_are_differences_of_distribution_functions_and_have_tails():
    generator = torch.Generator().manual_seed(0)
    logits, loc = (torch.randn(4, 3, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    scale = 0.05 + torch.rand(4, 3, 1, generator=generator, dtype=torch.float64)
    level = torch.arange(256, dtype=torch.float64)[:, None, None]
    own = LogisticLevels(logits, loc, scale, 1).log_prob(level / 255)
    cut = ((torch.arange(1, 256).double() - 0.5) / 255 - loc) / scale
    steps = torch.cat([torch.zeros(4, 3, 1), cut.sigmoid(), torch.ones(4, 3, 1)], 2).double().diff()
    assert torch.allclose(own, (logits.softmax(1) * steps).sum(1).log().T, atol=1e-9)
    far = LogisticLevels(torch.zeros(1, 1, 1), torch.tensor([[[9.0]]]), torch.full((1, 1, 1), 5e-4), 1)
    log_mass = far.log_prob(torch.tensor([0.0, 0.5, 1.0])[:, None, None])
    assert log_mass.isfinite().all()
    assert log_mass[2] == 0
    assert float(log_mass[1]) == pytest.approx(-(9.0 - 0.5) / 5e-4, rel=1e-2)


@pytest.mark.parametrize("name", GAUSSIANS)
def test_learned_scales_start_where_they_are_told_and_are_shared_by_pixels(name):
    torch.manual_seed(0)
    likelihood = LIKELIHOODS[name](Context(Shapes((3,), SHAPE), NETWORKS["mlp"](hidden=(16,))), scale=0.3)
    scale = likelihood(latents()).base_dist.scale
    assert torch.allclose(scale, torch.tensor(0.3), atol=0.1 if name == "gaussian_predicted" else 1e-6)
    by_image = scale.flatten(1)
    assert torch.equal(by_image, by_image[:, :1].expand_as(by_image))
    assert (len(by_image[:, 0].unique()) > 1) == (name == "gaussian_predicted")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gaussian", {"scale": 0.0}, "scale must be positive"),
        ("gaussian_shared", {"min_scale": 0.0}, "min_scale must be positive"),
        ("gaussian_shared", {"scale": 1e-4}, "min_scale < scale"),
        ("gaussian_predicted", {"min_scale": 0.0}, "min_scale must be positive"),
        ("gaussian_predicted", {"scale": 1e-4}, "min_scale < scale"),
        ("discretised_logistic", {"components": 0}, "at least 1"),
    ],
)
def test_impossible_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)
