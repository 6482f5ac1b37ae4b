"""Laws that every posterior obeys; a new file in models/posteriors is under all of them.

They hold with every parameter moved from its start. A posterior that refuses a shape is let off at that shape. Those
on a sphere have no density over the plane; their integrals are in the tests of the sphere.
"""

import math

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, kl_divergence

from analysis.precision import to_float64
from models import noise
from models.context import Context
from models.distributions import Sphere
from models.posteriors import Posterior
from models.shapes import Shapes
from study.design.families import NETWORKS, POSTERIORS, PRIORS

IMAGES = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
EVENT = {"line": (1,), "flat": (3,), "spatial": (2, 2, 2)}
SMALL = {"hidden": 16, "transforms": 2, "bins": 4, "components": 3}
NORMALS = ["low_rank_normal", "full_normal"]


def build(name: str, shape: tuple[int, ...]) -> Posterior:
    torch.manual_seed(7)
    options = {option: size for option, size in SMALL.items() if option in POSTERIORS.options(name)}
    context = Context(Shapes(shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(16,)))
    try:
        posterior = POSTERIORS[name](context, **options)
    except ValueError as refusal:
        pytest.skip(str(refusal))
    with torch.no_grad():
        for key, parameter in posterior.named_parameters():
            parameter.add_((0.1 if key.startswith("encoder") else 0.15) * torch.randn_like(parameter))
    return posterior


def of_plane(name: str, images: Tensor = IMAGES) -> tuple[Posterior, Distribution]:
    posterior = build(name, (2,)).double()
    q = posterior(images.double())
    if isinstance(q.support, Sphere):
        pytest.skip("lives on a sphere")
    return posterior, q


def grid(q: Distribution, num: int = 501, widths: float = 14.0) -> tuple[Tensor, Tensor]:
    """Points ``(num², 2)`` about the mean of drawn points of a single image's q, and the area that each stands for."""
    with torch.no_grad():
        sample = q.sample((2_000,))[:, 0]
    lines = [
        m + s * torch.linspace(-widths, widths, num).double()
        for m, s in zip(sample.mean(0), sample.std(0), strict=True)
    ]
    area = (lines[0][1] - lines[0][0]) * (lines[1][1] - lines[1][0])
    return torch.cartesian_prod(*lines), area


@pytest.fixture(params=list(POSTERIORS))
def name(request) -> str:
    return request.param


@pytest.mark.parametrize("shape", EVENT.values(), ids=EVENT)
def test_shapes_of_draws_and_of_densities_of_every_point_under_every_image(name, shape):
    q = build(name, shape)(IMAGES)
    assert q.event_shape == shape
    assert q.batch_shape == (5,)
    assert q.has_rsample
    z = q.sample((4,))
    assert z.shape == (4, 5, *shape)
    assert q.rsample().shape == (5, *shape)
    assert q.log_prob(z).shape == (4, 5)
    points = z[:, 0]
    with torch.no_grad():
        crossed = q.log_prob(points[:, None])
        assert crossed.shape == (4, 5)
        alone = torch.stack([build(name, shape)(IMAGES[n : n + 1]).log_prob(points) for n in range(5)], 1)
    assert torch.allclose(crossed, alone, rtol=1e-4, atol=1e-4)


def test_draws_are_a_function_of_the_noise(name):
    posterior = build(name, (2, 2, 2))
    with torch.no_grad(), noise.record() as shapes:
        posterior(IMAGES).rsample()
    draws = [torch.randn(shape) for shape in shapes]
    with torch.no_grad():
        with noise.replay(draws):
            first = posterior(IMAGES).rsample()
        with noise.replay(draws):
            assert torch.equal(posterior(IMAGES).rsample(), first)
        with noise.replay([-tensor for tensor in draws]):
            assert not torch.equal(posterior(IMAGES).rsample(), first)


def test_density_of_a_draw_is_that_of_its_copy_and_follows_the_dtype(name):
    q = build(name, (2, 2, 2))(IMAGES)
    z = q.rsample((3,))
    assert torch.allclose(q.log_prob(z), q.log_prob(z.clone()), rtol=1e-3, atol=1e-3)
    exact = to_float64(q).log_prob(z.double())
    assert exact.dtype == torch.float64
    assert torch.allclose(exact.float(), q.log_prob(z), rtol=1e-3, atol=1e-3)


def test_expanded_batches_have_the_same_densities_and_draw_independently(name):
    q = build(name, (3,))(IMAGES)
    z = q.rsample()
    wide = q.expand((2, 5))
    assert wide.batch_shape == (2, 5)
    assert torch.allclose(wide.log_prob(z), q.log_prob(z).expand(2, 5), atol=1e-5)
    assert wide.rsample((4,)).shape == (4, 2, 5, 3)
    assert len(wide.sample().flatten(0, 1).unique(dim=0)) == 10


def test_normalises_and_its_draws_follow_the_density(name):
    """Draws against quadrature in the plane: mass within 1e-4; means of z and of log q within five standard errors."""
    _, q = of_plane(name, IMAGES[:1])
    torch.manual_seed(0)
    with torch.no_grad():
        points, area = grid(q)
        log_q = q.log_prob(points[:, None])[:, 0]
        weight = log_q.exp() * area
        assert abs(float(weight.sum()) - 1) < 1e-4
        z = q.sample((20_000,))[:, 0]
        for drawn, integrated in [
            (q.log_prob(z[:, None])[:, 0], weight @ log_q),
            *zip(z.T, weight @ points, strict=True),
            *zip(z.square().T, weight @ points.square(), strict=True),
            (z.prod(1), weight @ points.prod(1)),
        ]:
            assert abs(float(drawn.mean() - integrated)) < 5 * float(drawn.std()) / math.sqrt(len(z)) + 1e-3


def test_gradient_of_an_expectation_is_unbiased(name):
    """Of E f(z) through 40 means of 250 draws, against that through the density by quadrature: five standard errors."""
    posterior, q = of_plane(name, IMAGES[:1])
    few = [p for p in posterior.parameters() if p.numel() <= 100]
    torch.manual_seed(0)

    def integrand(z: Tensor) -> Tensor:
        return (z[:, 0] + 0.5 * z[:, 1]).sin() + 0.1 * z.prod(1)

    points, area = grid(q, 401, 7.0)
    with torch.no_grad():
        near = points[q.log_prob(points[:, None])[:, 0] > -20]
    integral = (q.log_prob(near[:, None])[:, 0].exp() * integrand(near)).sum() * area
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(integral, few, materialize_grads=True)])
    drawn = []
    for _ in range(40):
        mean = integrand(posterior(IMAGES[:1].double()).rsample((250,))[:, 0]).mean()
        gradients = torch.autograd.grad(mean, few, materialize_grads=True)
        drawn.append(torch.cat([g.flatten() for g in gradients]))
    sample = torch.stack(drawn)
    error = sample.std(0) / math.sqrt(40)
    assert ((sample.mean(0) - exact).abs() <= 5 * error + 1e-4).all()
    assert exact.abs().max() > 10 * error.max(), "too little to see"


def test_moments_in_closed_form_are_those_of_draws(name):
    q = build(name, (2, 2, 2)).double()(IMAGES.double())
    torch.manual_seed(0)
    with torch.no_grad():
        z = q.sample((20_000,))
        try:
            mean, deviation = q.mean, q.stddev
        except NotImplementedError:
            return  # estimated from draws by whoever needs them
        assert mean.shape == deviation.shape == (5, 2, 2, 2)
        error = z.std(0) / math.sqrt(20_000)
        assert ((z.mean(0) - mean).abs() < 5 * error).all()
        assert torch.allclose(z.std(0), deviation, rtol=0.05)
        if hasattr(q, "covariance_matrix"):
            covariance = torch.stack([points.flatten(1).T.cov() for points in z.unbind(1)])
            scale = deviation.flatten(1)
            assert ((covariance - q.covariance_matrix) / (scale[:, :, None] * scale[:, None])).abs().max() < 0.06


def test_gradient_reaches_every_parameter(name):
    posterior = build(name, (3,))
    q = posterior(IMAGES)
    z = q.rsample()
    (z.square().sum() + q.log_prob(z).sum()).backward()
    for key, parameter in posterior.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().sum() > 0, key


def test_state_round_trips_through_safetensors(name):
    posterior, other = build(name, (3,)), build(name, (3,))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
        other.load_state_dict(load(save(posterior.state_dict())))
        z = posterior(IMAGES).sample()
        assert torch.equal(posterior(IMAGES).log_prob(z), other(IMAGES).log_prob(z))


def test_only_independent_dimensions_are_declared_factorised(name):
    q = build(name, (3,))(IMAGES)
    assert POSTERIORS[name].factorised == hasattr(q, "base_dist")


def test_every_posterior_names_its_paper(name):
    assert POSTERIORS.signature(name).reference


@pytest.mark.parametrize("name", NORMALS)
@pytest.mark.parametrize("shape", EVENT.values(), ids=EVENT)
def test_normals_are_torchs_with_their_covariance(name, shape):
    q = build(name, shape).double()(IMAGES.double())
    reference = MultivariateNormal(q.mean.flatten(1), q.covariance_matrix)
    z = 2 * torch.randn(7, 1, *shape, dtype=torch.float64)
    assert torch.allclose(q.log_prob(z), reference.log_prob(z.flatten(2)), rtol=1e-10)
    p = PRIORS["standard_normal"](Context(Shapes(shape, (1, 8, 8)), NETWORKS["mlp"]())).double()().expand((5,))
    size = math.prod(shape)
    normal = MultivariateNormal(torch.zeros(size).double(), torch.eye(size).double())
    assert torch.allclose(kl_divergence(q, p), kl_divergence(reference, normal), rtol=1e-10)


def test_normals_have_no_closed_form_against_other_factors():
    q = build("low_rank_normal", (3,))(IMAGES)
    with pytest.raises(NotImplementedError):
        kl_divergence(q, torch.distributions.Independent(torch.distributions.Laplace(torch.zeros(3), 1.0), 1))


def test_mixtures_of_equal_components_are_one_normal():
    posterior = build("normal_mixture", (3,))
    with torch.no_grad():
        q = posterior(IMAGES)
        same = type(q)(q.logits, q.loc[:, :1].expand_as(q.loc), q.scale[:, :1].expand_as(q.scale), (3,))
        z = same.sample()
        normal = torch.distributions.Normal(q.loc[:, 0], q.scale[:, 0])
        assert torch.allclose(same.log_prob(z), normal.log_prob(z).sum(1), atol=1e-5)
        assert torch.allclose(same.stddev, normal.stddev, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("diagonal_normal", (2,), {"min_scale": 0.0}, "min_scale must be positive"),
        ("low_rank_normal", (2,), {"min_scale": 0.0}, "min_scale must be positive"),
        ("low_rank_normal", (2,), {"rank": 0}, "rank must be at least 1"),
        ("full_normal", (2,), {"min_scale": 0.0}, "min_scale must be positive"),
        ("full_normal", (1000,), {}, "limit is D = 512"),
        ("iaf", (2,), {"transforms": 0}, "transforms must be at least 1"),
        ("iaf", (2,), {"min_scale": 0.0}, "min_scale must be positive"),
        ("iaf", (65_536,), {}, "limit is D = 1,024"),
        ("spline_flow", (2,), {"hidden": 0}, "hidden must be at least 1"),
        ("spline_flow", (2,), {"bins": 1}, "at least 2"),
        ("spline_flow", (2,), {"min_scale": 0.0}, "min_scale must be positive"),
        ("spline_flow", (65_536,), {}, "limit is D = 4,096"),
        ("normal_mixture", (2,), {"components": 1}, "at least 2"),
        ("normal_mixture", (2,), {"min_scale": 0.0}, "min_scale must be positive"),
        ("normal_mixture", (65_536,), {}, "limit is D = 512"),
    ],
)
def test_impossible_options_are_refused_before_memory_is_taken(name, shape, options, message):
    with pytest.raises(ValueError, match=message):
        POSTERIORS[name](Context(Shapes(shape, (1, 8, 8)), NETWORKS["mlp"](hidden=(8,))), **options)
