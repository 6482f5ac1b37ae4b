"""Laws of event distributions, over every one that a part returns."""

import ast
from pathlib import Path

import pytest
import torch

from models.context import Context
from models.distributions import EventDistribution
from models.shapes import Shapes
from study.design.families import LIKELIHOODS, NETWORKS, POSTERIORS, PRIORS

IMAGES = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
SMALL = {"hidden": 8, "components": 3, "exemplars": 5, "units": 8, "steps": 4, "evaluation_draws": 64, "bins": 3}


def small(family, name):
    options = family.options(name)
    sizes = {option: size for option, size in SMALL.items() if option in options}
    return {o: (size,) if isinstance(options[o].default, tuple) else size for o, size in sizes.items()}


def distributions():
    """Every distribution that a part returns and that derives from EventDistribution, by the part's name."""
    torch.manual_seed(0)
    context = Context(Shapes((2, 2, 1), (1, 4, 4)), NETWORKS["mlp"](hidden=(8,)), IMAGES)
    context = context.with_posterior(POSTERIORS["diagonal_normal"](context))
    found = {}
    for name in PRIORS:
        prior = PRIORS[name](context, **small(PRIORS, name))
        found[f"prior-{name}"], found[f"prior-{name}-in-training"] = prior(), prior.for_training(IMAGES)
    for name in POSTERIORS:
        found[f"posterior-{name}"] = POSTERIORS[name](context, **small(POSTERIORS, name))(IMAGES)
    for name in LIKELIHOODS:
        found[f"likelihood-{name}"] = LIKELIHOODS[name](context, **small(LIKELIHOODS, name))(torch.randn(6, 2, 2, 1))
    return {name: p for name, p in found.items() if isinstance(p, EventDistribution)}


CASES = distributions()
NOISY = {"prior-diffusion-in-training"}
"""Their log-density is one draw of a bound."""


@pytest.fixture(params=list(CASES))
def p(request):
    return CASES[request.param]


@pytest.fixture
def is_noisy(request):
    return request.node.callspec.params["p"] in NOISY


def test_there_are_priors_posteriors_and_likelihoods_among_them():
    assert {name.partition("-")[0] for name in CASES} == {"prior", "posterior", "likelihood"}
    assert len({type(p) for p in CASES.values()}) >= 10


def test_draws_have_the_shape_of_samples_batch_and_event(p):
    with torch.no_grad():
        for sample_shape in ((), (3,), (2, 3)):
            draws = p.sample(sample_shape)
            assert draws.shape == torch.Size(sample_shape) + p.batch_shape + p.event_shape
            assert p.log_prob(draws).shape == torch.Size(sample_shape) + p.batch_shape
            assert p.support.check(draws).all()


def test_an_expanded_distribution_is_the_same_for_each_element(p, is_noisy):
    with torch.no_grad():
        wide = p.expand((2, *p.batch_shape))
        assert type(wide) is type(p)
        assert wide.batch_shape == (2, *p.batch_shape)
        assert wide.event_shape == p.event_shape
        draws = wide.sample()
        assert draws.shape == (2, *p.batch_shape, *p.event_shape)
        if not is_noisy:
            assert torch.allclose(wide.log_prob(draws), p.log_prob(draws), atol=1e-5)
        # One draw for each element, and not one that all share.
        assert not torch.equal(draws[0], draws[1])


def test_an_autocast_does_not_reach_the_density(p, is_noisy):
    draws = p.sample((4,))
    if is_noisy:
        pytest.skip("its log-density is one draw of a bound")
    with torch.no_grad():
        outside = p.log_prob(draws)
        with torch.autocast("cpu", torch.bfloat16):
            inside = p.log_prob(draws)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)


def test_only_reparameterised_draws_are_given_with_gradient(p):
    if p.has_rsample:
        assert p.rsample().requires_grad or not p.like.requires_grad
    else:
        with pytest.raises(NotImplementedError, match=f"{type(p).__name__} have no gradient; use sample"):
            p.rsample()
    assert not p.sample().requires_grad


def test_points_broadcast_against_the_batch(p, is_noisy):
    if is_noisy or not p.batch_shape:
        pytest.skip("one distribution, or a noisy density")
    with torch.no_grad():
        points = p.sample((3,))[:, :1]
        together = p.log_prob(points)
        assert together.shape == (3, *p.batch_shape)
        assert torch.allclose(together, p.log_prob(points.expand(3, *p.batch_shape, *p.event_shape)), atol=1e-5)


def test_no_other_class_repeats_what_the_base_holds():
    """Support, expansion and the fence against autocast are written once."""
    for path in (Path(__file__).parents[2] / "models").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name != "EventDistribution":
                assert "TorchDistribution" not in {ast.unparse(base) for base in node.bases}, (path, node.name)
