"""Novelty of copies, of new draws of the same law, and of outliers."""

import pytest
import torch

from analysis.realism.novelty import distance_to_nearest
from analysis.realism.novelty import novelty as novelty_of_distances

NOISE = torch.randn(3, 500, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TRAIN, HELD_OUT, FRESH = NOISE


def novelty(samples, held_out, train):
    return novelty_of_distances(distance_to_nearest(samples, train), distance_to_nearest(held_out, train))


def test_nearest_is_that_of_all_differences():
    x, train = FRESH[:40], TRAIN + 3
    expected = (x[:, None] - train).flatten(2).norm(dim=2).amin(1)
    assert torch.allclose(distance_to_nearest(x, train), expected, rtol=1e-12)


def test_new_draws_are_as_far_as_held_out_images():
    result = novelty(FRESH, HELD_OUT, TRAIN)
    # Five standard errors are 0.2 and 0.09.
    assert abs(result.ratio.value - 1) < 5 * result.ratio.standard_error < 0.3
    assert abs(result.nearer.value - 0.5) < 5 * result.nearer.standard_error < 0.12
    assert result.ratio.value == result.distance.value / result.held_out_distance.value


def test_copies_are_no_distance_away():
    result = novelty(TRAIN[:100], HELD_OUT, TRAIN)
    assert result.distance.value == 0.0
    assert result.ratio.value == 0.0
    assert result.nearer.value == 1.0


def test_distance_to_the_nearest():
    train = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    result = novelty(torch.tensor([[3.0, 4.0], [10.0, 1.0]]), torch.tensor([[2.0, 0.0], [9.0, 0.0]]), train)
    assert result.distance.value == pytest.approx(3.0)
    assert result.held_out_distance.value == pytest.approx(1.5)
    assert result.ratio.value == pytest.approx(2.0)
    # Delta method: sd of {5, 1} is √8, of {2, 1} is √½; each over √2, then r² and 1/b².
    assert result.ratio.standard_error == pytest.approx((4.0 + 4 * 0.25) ** 0.5 / 1.5)


def test_a_held_out_set_of_training_images_is_refused():
    assert novelty(FRESH, TRAIN[:50], TRAIN).ratio.is_refused
