"""Normal noise: the numbers that torch draws from the stream of the same name."""

import numpy as np
import pytest
import torch

from analysis.normal_noise import NormalNoise
from analysis.randomness import stream


@pytest.mark.parametrize("shape", [(16,), (2, 8), (1, 17), (3, 4, 11), (5, 16), (3, 70, 9)], ids=str)
def test_numbers_are_those_of_the_stream(shape):
    noise, generator = NormalNoise(2, "noise"), stream(2, "noise")
    for _ in range(2):
        expected = torch.randn(shape, generator=generator, dtype=torch.float64)
        assert noise.draw(shape) == pytest.approx(expected.numpy(), rel=1e-13, abs=1e-15)


def test_numbers_that_are_reserved_are_those_that_would_have_been_drawn():
    drawn, reserved = NormalNoise(2, "noise"), NormalNoise(2, "noise")
    shapes = [(2, 8), (1, 17), (3,), (3, 70, 9)]
    expected = [drawn.draw(shape) for shape in shapes]
    later = [reserved.reserve(shape) for shape in shapes]
    for numbers, values in reversed(list(zip(later, expected, strict=True))):
        assert (numbers() == values).all()


@pytest.mark.parametrize("shape", [(0,), (), (3,), (15,)], ids=str)
def test_few_numbers_are_normal_too(shape):
    assert NormalNoise(0, "few").draw(shape).shape == shape
    draws = np.concatenate([NormalNoise(seed, "few").draw((4,)) for seed in range(2_000)])
    assert abs(draws.mean()) < 4.5 / np.sqrt(8_000)
    assert draws.var() == pytest.approx(1, abs=4.5 * np.sqrt(2 / 8_000))


def test_a_name_gives_the_same_numbers_again_and_another_others():
    first, again, other = (NormalNoise(*name).draw((16,)) for name in ((0, "a"), (0, "a"), (0, "b")))
    assert (first == again).all()
    assert not (first == other).any()


def test_noise_without_a_purpose_is_refused():
    with pytest.raises(ValueError, match="expected words"):
        NormalNoise(0)
