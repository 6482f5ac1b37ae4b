"""Laws of binarisation: E b = x, draws that depend on their purpose only, and nothing else touched."""

from __future__ import annotations

import math

import pytest
import torch

from study.measurement.images import ImageData
from study.run.data import binarisation
from study.run.data.binarisation import binarise, binarised, redraw


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(count: int = 50) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=generator(1))


def data_of(training: torch.Tensor, held_out: torch.Tensor) -> ImageData:
    labels = torch.zeros(len(training), dtype=torch.int64)
    return ImageData("test", training, labels, held_out, labels[: len(held_out)], ("all",), "0" * 64, "none")


def test_none_leaves_the_images_alone():
    images = grey()
    assert binarise(images, "none", generator=generator()) is images


def test_threshold_cuts_above_one_half():
    images = torch.tensor([0.0, 0.25, 0.5, 128 / 255, 1.0]).reshape(1, 1, 1, 5)
    assert binarise(images, "threshold", generator=generator()).flatten().tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("how", ["dynamic", "fixed"])
def test_a_draw_is_binary_with_shape_type_and_certain_pixels_kept(how):
    images = grey()
    images[:, :, 0] = 0.0
    images[:, :, 1] = 1.0
    drawn = binarise(images, how, generator=generator())
    assert drawn.shape == images.shape
    assert drawn.dtype == images.dtype
    assert drawn.unique().tolist() == [0.0, 1.0]
    assert drawn[:, :, 0].max() == 0.0
    assert drawn[:, :, 1].min() == 1.0


def test_the_expectation_of_a_draw_is_the_pixel():
    # 40,000 draws of each of the 256 grey levels. Per level the standard error is at most 0.0025, so that 6 of them
    # show an error of 0.015; over all levels it is 1.3e-4, so that 5 show 6.4e-4: a third of the 1/512 by which
    # rounding x to 8 bits would be off.
    count = 40_000
    levels = torch.arange(256, dtype=torch.float32) / 255
    drawn = redraw(levels.reshape(1, 1, 16, 16).repeat(count, 1, 1, 1), replicate=0, epoch=0)
    error = drawn.mean(0, dtype=torch.float64).flatten() - levels.double()
    variance = levels.double() * (1 - levels.double()) / count
    inner = slice(1, 255)
    assert (error[inner].abs() / variance[inner].sqrt()).max() < 6
    assert error.mean().abs() < 5 * math.sqrt(variance.sum()) / 256


def test_images_do_not_share_noise_within_or_across_blocks():
    # 200 rows of 784 fair coins span several blocks: each of 19,900 correlations has standard error 1/28; 6.5 of them
    # show a correlation of 0.23, and a reused block has correlation 1.
    coins = redraw(torch.full((200, 1, 28, 28), 0.5), replicate=0, epoch=0).reshape(200, 784)
    correlation = torch.corrcoef(coins) - torch.eye(200)
    assert correlation.abs().max() < 6.5 / 28


def test_a_redraw_depends_on_replicate_and_epoch_only():
    images = torch.full((40, 1, 28, 28), 0.5)
    torch.manual_seed(0)
    first = redraw(images, replicate=2, epoch=7)
    torch.manual_seed(1)
    redraw(images, replicate=0, epoch=0)
    assert torch.equal(first, redraw(images, replicate=2, epoch=7))
    # Agreement of independent fair coins is 1/2 with standard error 0.0028; 6 of them show 0.017.
    purposes = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 7), (7, 2), (0, 2**40)]
    draws = [redraw(images, replicate=replicate, epoch=epoch) for replicate, epoch in purposes]
    for index, one in enumerate(draws):
        for other in draws[:index]:
            assert abs(float((one == other).float().mean()) - 0.5) < 0.017


def test_replicates_of_two_cells_share_their_noise():
    # The same uniform variate lies under both, so that a brighter pixel is set wherever a darker one is.
    images = grey()
    brighter = (images + 0.1).clamp(max=1)
    assert torch.all(redraw(brighter, replicate=3, epoch=1) >= redraw(images, replicate=3, epoch=1))


def test_the_block_does_not_change_the_draw(monkeypatch):
    images = grey(120)
    expected = redraw(images, replicate=0, epoch=0)
    assert torch.equal(redraw(images[:45], replicate=0, epoch=0), expected[:45])
    for pixels in (1, 5_000, 10**7):
        monkeypatch.setitem(binarisation._BLOCK_PIXELS, "cpu", pixels)
        assert torch.equal(redraw(images, replicate=0, epoch=0), expected)


def test_memory_layout_does_not_change_the_draw():
    images = torch.rand(20, 3, 8, 8, generator=generator())
    expected = redraw(images, replicate=0, epoch=0)
    assert torch.equal(redraw(images.contiguous(memory_format=torch.channels_last), replicate=0, epoch=0), expected)
    assert torch.equal(redraw(images.transpose(2, 3).contiguous().transpose(2, 3), replicate=0, epoch=0), expected)


def test_images_larger_than_a_block():
    drawn = redraw(torch.full((2, 3, 128, 128), 0.5), replicate=0, epoch=0)
    # 98,304 fair coins: standard error 0.0016, 6 of them show 0.01.
    assert abs(float(drawn.mean()) - 0.5) < 0.01
    assert not torch.equal(drawn[0], drawn[1])


def test_the_global_generator_and_the_images_are_left_alone():
    images = grey()
    before, copy = torch.get_rng_state(), images.clone()
    redraw(images, replicate=0, epoch=0)
    binarised(data_of(images, images[:5]), "fixed")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(images, copy)


def test_data_are_binarised_once_alike_for_fixed_and_dynamic():
    data = data_of(grey(), grey(20))
    fixed, dynamic, again = binarised(data, "fixed"), binarised(data, "dynamic"), binarised(data, "fixed")
    for other in (dynamic, again):
        assert torch.equal(fixed.images, other.images)
        assert torch.equal(fixed.held_out_images, other.held_out_images)
    assert fixed.held_out_images.unique().tolist() == [0.0, 1.0]
    assert (fixed.checksum, fixed.labels) == (data.checksum, data.labels)


def test_splits_and_epochs_have_noise_of_their_own():
    coins = torch.full((50, 1, 28, 28), 0.5)
    data = binarised(data_of(coins, coins), "dynamic")
    epoch = redraw(coins, replicate=0, epoch=0)
    # Standard error of the agreement 0.0025; 6 of them show 0.015.
    for one, other in ((data.images, data.held_out_images), (data.images, epoch), (data.held_out_images, epoch)):
        assert abs(float((one == other).float().mean()) - 0.5) < 0.015


@pytest.mark.parametrize("how", ["none", "threshold"])
def test_data_without_a_draw(how):
    data = data_of(grey(), grey(20))
    result = binarised(data, how)
    expected = (lambda images: images) if how == "none" else (lambda images: (images > 0.5).float())
    assert torch.equal(result.images, expected(data.images))
    assert torch.equal(result.held_out_images, expected(data.held_out_images))


def test_an_unknown_binarisation_is_named():
    with pytest.raises(ValueError, match=r"must be none, threshold, dynamic or fixed; got 'random'"):
        binarise(grey(), "random", generator=generator())
