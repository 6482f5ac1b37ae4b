"""Inert padding: what theory says must not move does not, and the shell thins as it should."""

import math

import pytest
import torch

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.padding import inert_padding


def padded(dims, seed=0):
    generator = torch.Generator().manual_seed(0)
    loc = 1.5 * torch.randn(300, 4, generator=generator)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.full((300, 4), 0.4)))
    return inert_padding(aggregate, dims, num_draws=200, generator=torch.Generator().manual_seed(seed))


def test_inert_dimensions_change_neither_kl_nor_information_nor_overlap():
    first, *others = padded([4, 64, 4_096, 16_384])
    assert first.kl.value > 0.5
    for other in others:
        for name in ("kl", "information", "total_variation"):
            ours, theirs = getattr(other, name), getattr(first, name)
            # Draws repeat, so the difference is rounding alone.
            assert ours.value == pytest.approx(theirs.value, rel=1e-10), (name, other.padded_dim)
            assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-8)


def test_the_shell_of_inert_dimensions_thins():
    """sd‖z‖ tends to 1/√2 and E‖z‖ to √D, so the relative thickness is 1/√(2D)."""
    (thick,) = padded([16_384])
    # Two hundred draws know a standard deviation to five per cent.
    assert thick.shell_thickness == pytest.approx(1 / math.sqrt(2 * 16_384), rel=0.25)


def test_fewer_dimensions_than_there_are_is_refused():
    with pytest.raises(ValueError, match="at least D = 4; got 3"):
        padded([3])
