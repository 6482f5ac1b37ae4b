"""Displacements of the codes of a model whose decoder is linear, so that gain, step and nats are known."""

import pytest
import torch
from pyro import distributions as dist
from torch import nn

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.density_fits import Codes
from analysis.realism.frechet import FeatureMoments
from models.vae import VAE
from study.design.cell import Cell
from study.measurement.displacements import LEVELS, displaced
from study.measurement.sources import Start
from study.run.building import new_vae

DIM, NUM = 4, 300
GAINS = torch.tensor([3.0, 1.0, 0.5, 0.0])
MEAN = torch.tensor([0.0, 0.0, 0.3, 0.4])
DEVIATION = torch.tensor([2.0, 1.0, 0.5, 1.0])


class Linear(nn.Module):
    def forward(self, z):
        return dist.Normal((z * GAINS).reshape(-1, 1, 2, 2), 1.0).to_event(3)


class Identity:
    """Pixels as features."""

    def features(self, images):
        return images.flatten(1).double()


class Judged:
    """What displacements ask of a reference."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        network = {"name": "mlp", "hidden": [8]}
        parts = new_vae(Cell.from_config({"latent_dim": DIM, "network": network}), (1, 8, 8))
        loc = torch.randn(NUM, DIM, generator=generator)
        loc = (loc - loc.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(loc.T.cov(correction=0)).T)
        loc = MEAN + loc * (DEVIATION.square() - 0.04).sqrt()
        aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.full_like(loc, 0.2)))
        codes = Codes.draw(aggregate, generator)
        vae = VAE(parts.prior, parts.posterior, Linear())
        self.start = Start(vae, codes.z, codes, codes.z.reshape(-1, 1, 2, 2), 0, aggregate)
        self.space, self.replicate = Identity(), self
        self.moments = FeatureMoments((codes.z * GAINS).double())

    def stream(self, *purpose):
        return torch.Generator().manual_seed(len(purpose[0]))

    def heartbeat(self):
        pass


@pytest.fixture(scope="module")
@torch.no_grad()
def found():
    return displaced(Judged(), 2)


def test_directions_are_those_of_the_mean_the_spectrum_and_chance(found):
    kinds = found.directions[:: len(LEVELS)]
    assert kinds[:2] == ["mean", "mean negated"]
    assert {kind: kinds.count(kind) for kind in kinds[2:]} == dict.fromkeys(
        ["mean permuted", "largest eigenvalue", "smallest eigenvalue", "random"], 2
    )
    assert found.columns["squared_norm"] == [2 * level for _ in kinds for level in LEVELS]


def test_gain_step_and_nats_of_a_linear_decoder(found):
    """Of the mean, (0, 0, .6, .8) in direction: squared gain .6² .5², nats ½(.6²/.25 + .8²) for ‖δ‖ = 1; and of the
    largest eigenvalue, the first axis: 9, and ½/4."""
    first = found.directions.index("largest eigenvalue")
    for row, gain, nats in ((0, 0.09, 1.04), (first, 9.0, 0.125)):
        for index, level in enumerate(LEVELS):
            for column in ("gain", "step"):
                assert found.columns[column][row + index] == pytest.approx(2 * level * gain, rel=1e-3), column
            assert found.columns["nats"][row + index] == pytest.approx(2 * level * nats, rel=1e-3)


def test_what_is_lost_is_the_squared_distance_of_the_means(found):
    """Features are pixels, and the codes as they are stand for the real images: F(g(z + δ)) − F(g(z)) = |W δ|²."""
    assert found.columns["lost"] == pytest.approx(found.columns["gain"], rel=1e-3)


def test_none_are_asked_for():
    assert displaced(Judged(), 0) is None
