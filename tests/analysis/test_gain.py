"""Gain of a decoder: linear ones in closed form, and finite steps of curved ones."""

import math

import pytest
import torch

from analysis.estimate import Estimate
from analysis.gain import CHUNK, moved_along, moved_images, squared_gain, squared_step
from models.linear import LinearGaussianVAE

F64 = torch.float64


@pytest.fixture(scope="module")
def linear():
    vae = LinearGaussianVAE.random(4, 9, gain=2.0, noise=0.5, generator=torch.Generator().manual_seed(0))
    return vae, lambda z: vae.likelihood(z).mean


@torch.no_grad()
def test_of_a_linear_decoder_it_is_the_quadratic_form_of_its_weights(linear):
    vae, decoder = linear
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(600, 4, generator=generator, dtype=F64)
    displacement = torch.tensor([0.3, -1.0, 2.0, 0.0], dtype=F64)
    truth = float((vae.weight @ displacement).square().sum())
    gains = vae.weight.square().sum(0)  # squared, of each column
    assert truth == pytest.approx(float(gains @ displacement.square()))
    for found in (squared_gain(decoder, z, displacement), squared_step(decoder, z, displacement)):
        assert found.dtype == F64
        torch.testing.assert_close(found, torch.full((600,), truth, dtype=F64), rtol=1e-9, atol=0)


@torch.no_grad()
def test_over_random_directions_it_is_the_trace(linear):
    vae, decoder = linear
    generator = torch.Generator().manual_seed(2)
    directions = torch.randn(20_000, 4, generator=generator, dtype=F64)
    directions /= directions.norm(dim=1, keepdim=True)
    found = Estimate.mean(squared_gain(decoder, torch.zeros_like(directions), directions))
    trace = float(vae.weight.square().sum()) / 4
    assert abs(found.value - trace) < 4 * found.standard_error
    assert found.standard_error < 0.01 * trace


@torch.no_grad()
def test_each_draw_has_its_own_displacement_of_any_shape():
    def decoder(z):
        return z.square().flatten(1).sum(1, keepdim=True)

    z = torch.randn(300, 2, 1, 3, generator=torch.Generator().manual_seed(3), dtype=F64)
    along = torch.randn(z.shape, generator=torch.Generator().manual_seed(4), dtype=F64)
    exact = (2 * z * along).flatten(1).sum(1).square()
    torch.testing.assert_close(squared_gain(decoder, z, along), exact)
    step = 1e-4
    torch.testing.assert_close(squared_step(decoder, z, step * along) / step**2, exact, rtol=1e-2, atol=1e-2)


@torch.no_grad()
def test_displacements_of_one_draw_share_its_decoding(linear):
    vae, _ = linear
    points_decoded = []

    def decoder(z):
        points_decoded.append(len(z))
        return (z @ vae.weight.T).tanh()

    generator = torch.Generator().manual_seed(6)
    z = torch.randn(CHUNK, 4, generator=generator, dtype=F64)
    displacements = torch.randn(5, CHUNK, 4, generator=generator, dtype=F64)
    together = moved_along(decoder, z, displacements)
    assert sum(points_decoded) == len(z)
    slopes = 1 - (z @ vae.weight.T).tanh().square()
    torch.testing.assert_close(together, slopes * (displacements @ vae.weight.T))
    one_by_one = torch.stack([moved_images(decoder, z, displacement) for displacement in displacements])
    torch.testing.assert_close(together, one_by_one)


def test_intervals_cover_the_expectation_over_latents():
    """Of g(z) = z²: E(2zδ)² = 4δ² over normal z, on 2,000 sets of 200 draws."""
    generator = torch.Generator().manual_seed(5)
    z = torch.randn(2_000 * 200, 1, generator=generator, dtype=F64)
    gains = squared_gain(torch.square, z, torch.tensor([0.5], dtype=F64)).view(2_000, 200)
    covered = sum(1.0 in Estimate.mean(row).interval() for row in gains)
    assert math.isclose(float(gains.mean()), 1.0, rel_tol=0.02)
    assert 0.92 < covered / 2_000 < 0.97  # skewed: χ² of one degree of freedom
