"""Alignment of Jacobians with the axes: linear decoders, whose JᵀJ is at hand."""

import math

import pytest
import torch

from analysis.gain import moved_images, nearest_by_gain
from analysis.orthogonality import off_axes
from models.linear import LinearGaussianVAE

F64 = torch.float64
DIM, PIXELS = 6, 11


def stream(seed):
    return torch.Generator().manual_seed(seed)


def of(weight, num=400, probes=6, seed=0, latent=(DIM,)):
    """What is estimated at latents of one decoder: J is ``weight`` everywhere."""
    z = torch.randn(num, *latent, generator=stream(1), dtype=F64)
    return off_axes(lambda latents: latents.flatten(1) @ weight.T, z, probes=probes, generator=stream(seed))


def exact(weight):
    gram = weight.T @ weight
    return 1 - float(gram.diagonal().square().sum() / gram.square().sum())


def rotated(weight):
    gram = weight.T @ weight
    return 1 - float((gram.trace() ** 2 / gram.square().sum() + 2) / (len(gram) + 2))


@pytest.fixture(scope="module")
def weight():
    return torch.randn(PIXELS, DIM, generator=stream(2), dtype=F64) * torch.tensor([3, 2, 1, 1, 0.5, 0.1], dtype=F64)


def test_orthogonal_columns_are_on_the_axes():
    linear = LinearGaussianVAE.random(DIM, PIXELS, gain=2.0, noise=0.5, generator=stream(3))
    found = of(linear.weight.detach(), num=4_000)
    assert abs(found["off_axes"].value) < 4 * found["off_axes"].standard_error
    assert found["off_axes"].standard_error < 0.03
    assert found["off_axes_rotated"].value > 0.1


def test_of_a_linear_decoder_it_is_the_closed_form(weight):
    found = of(weight, num=4_000)
    for name, truth in (("off_axes", exact(weight)), ("off_axes_rotated", rotated(weight))):
        assert abs(found[name].value - truth) < 4 * found[name].standard_error, name
        assert found[name].standard_error < 0.03
    assert of(weight, latent=(3, 2, 1))["off_axes"].n == 400


def test_the_rotated_share_is_the_mean_over_rotations(weight):
    turns = torch.linalg.qr(torch.randn(4_000, DIM, DIM, generator=stream(4), dtype=F64)).Q
    shares = torch.tensor([exact(weight @ turn) for turn in turns])
    assert rotated(weight) == pytest.approx(float(shares.mean()), abs=4 * float(shares.std()) / math.sqrt(4_000))
    turned = of(weight @ turns[0], num=4_000)
    assert turned["off_axes"].value == pytest.approx(exact(weight @ turns[0]), abs=0.1)
    plain = of(weight, num=4_000)
    assert turned["off_axes_rotated"].value == pytest.approx(plain["off_axes_rotated"].value, abs=0.05)


def test_of_equal_columns_that_are_orthogonal_every_rotation_is_aligned():
    assert rotated(torch.eye(DIM, dtype=F64)) == pytest.approx(0)
    found = of(torch.eye(DIM, dtype=F64), num=4_000)
    assert abs(found["off_axes_rotated"].value) < 0.02


@pytest.mark.parametrize("name", ["off_axes", "off_axes_rotated"])
def test_intervals_cover(weight, name):
    truth = {"off_axes": exact, "off_axes_rotated": rotated}[name](weight)
    covered = sum(truth in of(weight, num=100, probes=4, seed=seed)[name].interval() for seed in range(400))
    assert 0.9 < covered / 400 < 0.99


def test_every_axis_counts_alike():
    """One column of many: a sample of axes that missed it would give 1."""
    single = torch.zeros(PIXELS, 40, dtype=F64)
    single[0, 7] = 1.0
    z = torch.zeros(4_000, 40, dtype=F64)
    found = off_axes(lambda latents: latents @ single.T, z, probes=3, generator=stream(0))
    assert found["off_axes"].value == pytest.approx(0, abs=0.15)


def test_the_way_to_the_nearest_centre_is_weighted_by_the_gain():
    """Of a decoder that does not see the first axis, the nearest is the one that differs there alone."""
    weight = torch.diag(torch.tensor([0.0, 2.0], dtype=F64))
    z = torch.tensor([[1.0, 1.0], [0.0, 0.0]], dtype=F64)
    centres = torch.tensor([[[9.0, 1.5], [1.0, 3.0]], [[5.0, 0.0], [0.1, 0.1]]], dtype=F64)
    found = nearest_by_gain(lambda latents: latents @ weight.T, z, centres)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0], dtype=F64))
    moved = moved_images(lambda latents: latents @ weight.T, z, centres[:, 0] - z)
    torch.testing.assert_close(moved, torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=F64))


def test_a_decoder_that_moves_nowhere_has_no_alignment():
    found = off_axes(lambda z: z * 0.0, torch.randn(5, 3), probes=2, generator=torch.Generator().manual_seed(0))
    assert all("moves nowhere" in estimate.flags[0] for estimate in found.values())
