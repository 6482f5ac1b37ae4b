"""Sources that have some moments of the codes: their own moments, by a decoder that shows its latents."""

import pytest
import torch
from pyro import distributions as dist
from torch import nn

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.density_fits import Codes
from models.vae import VAE
from study.design.cell import Cell
from study.measurement.sources import Start, registered
from study.run.building import new_vae

DIM, NUM = 4, 20_000
FACTOR = torch.tensor([[1.5, 0, 0, 0], [1.0, 0.5, 0, 0], [0, 0, 0.3, 0], [0, 0.4, 0.2, 1.2]])
MEAN = torch.tensor([3.0, -1.0, 0.5, 0.0])


class Transparent(nn.Module):
    def forward(self, z):
        return dist.Normal(z.reshape(-1, 1, 2, 2), 1.0).to_event(3)


def start(prior="standard_normal", latent_dim=DIM):
    generator = torch.Generator().manual_seed(0)
    parts = new_vae(
        Cell.from_config({"latent_dim": latent_dim, "prior": prior, "network": {"name": "mlp", "hidden": [8]}}),
        (1, 8, 8),
    )
    loc = MEAN + torch.randn(NUM, DIM, generator=generator) @ FACTOR.T
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.full_like(loc, 0.5)))
    codes = Codes.draw(aggregate, generator)
    vae = VAE(parts.prior, parts.posterior, Transparent())
    return Start(vae, codes.z, codes, codes.z.reshape(-1, 1, 2, 2), 0, aggregate)


COVARIANCE = FACTOR @ FACTOR.T + 0.25 * torch.eye(DIM)
VARIANCE = torch.diag(COVARIANCE.diagonal())
CORRELATION = VARIANCE.rsqrt().nan_to_num(posinf=0) @ COVARIANCE @ VARIANCE.rsqrt().nan_to_num(posinf=0)
ZERO, EYE = torch.zeros(DIM), torch.eye(DIM)


@pytest.mark.parametrize(
    ("name", "mean", "covariance"),
    [
        ("mean_normal", MEAN, EYE),
        ("mean_negated", -MEAN, EYE),
        ("variance_normal", ZERO, VARIANCE),
        ("mean_variance_normal", MEAN, VARIANCE),
        ("centred_normal", ZERO, COVARIANCE),
        ("aggregate_centred", ZERO, COVARIANCE),
        ("aggregate_standardised", ZERO, CORRELATION),
        ("aggregate_whitened", ZERO, EYE),
    ],
)
def test_a_source_has_the_moments_that_it_says(name, mean, covariance):
    z = registered()[name].images(start()).flatten(1)
    # 20,000 draws and codes of variance up to 2.5: means and covariances are known to 0.02 and 0.04.
    torch.testing.assert_close(z.mean(0), mean, rtol=0, atol=0.08)
    torch.testing.assert_close(z.T.cov(), covariance, rtol=0, atol=0.15)


@pytest.mark.parametrize("name", ["mean_permuted", "mean_random"])
def test_controls_move_as_far_and_elsewhere(name):
    own = start()
    offset = (registered()[name].images(own) - registered()["prior"].images(own)).flatten(1)
    torch.testing.assert_close(offset, offset[:1].expand_as(offset), rtol=0, atol=1e-5)
    assert float(offset[0].norm()) == pytest.approx(float(own.mean.norm()), rel=1e-5)
    assert not torch.allclose(offset[0].double(), own.mean, atol=0.1)
    if name == "mean_permuted":
        torch.testing.assert_close(offset[0].double().sort().values, own.mean.sort().values, rtol=0, atol=1e-5)


def test_draws_are_those_of_the_prior_moved():
    """So that differences of sources are paired."""
    own = start()
    prior, moved = (registered()[name].images(own).flatten(1) for name in ("prior", "mean_normal"))
    torch.testing.assert_close((moved - prior).double(), own.mean.expand(NUM, DIM), rtol=0, atol=1e-5)


def test_of_another_prior_there_are_no_such_draws_and_codes_lose_their_moments_all_the_same():
    own = start(prior="student_t")
    for name in ("mean_normal", "variance_normal", "mean_permuted", "centred_normal"):
        assert registered()[name].images(own) is None
    assert registered()["aggregate_whitened"].images(own) is not None


def test_dimensions_too_many_for_eigenvectors_leave_all_but_the_whitened_codes(monkeypatch):
    monkeypatch.setattr("analysis.aggregate.base.MAX_EIGENVECTOR_DIM", 3)
    own = start()
    assert registered()["aggregate_whitened"].images(own) is None
    assert registered()["mean_variance_normal"].images(own) is not None
    assert registered()["centred_normal"].images(own) is not None


def test_draws_with_the_covariance_are_those_of_the_prior_but_for_what_codes_share():
    """Where codes share nothing, C = σ² I, they are the prior's draws times σ."""
    own = start()
    alike = DiagonalAggregate(InMemoryCodes(torch.ones(DIM - 1, DIM), torch.full((DIM - 1, DIM), 0.5)))
    narrow = Start(own.vae, own.train, own.held_out, own.held_out_images, 0, alike)
    prior, drawn = (registered()[name].images(narrow).flatten(1) for name in ("prior", "centred_normal"))
    torch.testing.assert_close(drawn, prior / 2, rtol=0, atol=1e-6)
