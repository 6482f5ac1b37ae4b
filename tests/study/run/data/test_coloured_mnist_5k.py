"""The coloured digits are the grey ones in two colours each, drawn once and without regard to the class."""

from pathlib import Path

import torch

from study.run.data.datasets.coloured_mnist_5k import GROUND, STROKE, ColouredMnist5k
from study.run.data.datasets.mnist_5k import Mnist5k


def test_grey_levels_are_found_again_between_the_two_colours():
    options = {"root": Path("nowhere"), "image_size": None, "download": False}
    grey, colour = Mnist5k().read(**options), ColouredMnist5k().read(**options)
    for (_, levels, labels), (_, images, same) in zip(grey.splits(), colour.splits(), strict=True):
        assert torch.equal(labels, same)
        assert images.shape == (len(levels), 3, 28, 28)
        ground = images[:, :, 0, 0]  # the corner of a digit is empty
        flat = images.flatten(2)
        brightest = flat.amax(2)
        assert GROUND[0] <= ground.min() <= ground.max() <= GROUND[1]
        assert STROKE[0] * levels.amax((1, 2, 3)).min() <= brightest.min()
        full = levels.flatten(1).amax(1) == 1
        found = (flat - ground[..., None]) / (brightest - ground)[..., None]
        torch.testing.assert_close(found[full], levels[full].flatten(2).expand(-1, 3, -1), atol=1e-5, rtol=0)


def test_colours_repeat_differ_between_images_and_know_no_class():
    options = {"root": Path("nowhere"), "image_size": 14, "download": False}
    first, again = (ColouredMnist5k().read(**options) for _ in range(2))
    assert torch.equal(first.images, again.images)
    ground = first.images[:, :, 0, 0]
    assert len(ground.unique(dim=0)) > 0.99 * len(ground)
    assert not torch.equal(ground[:1000], first.held_out_images[:, :, 0, 0])
    by_class = torch.stack([ground[first.labels == label].mean(0) for label in range(10)])
    error = ground.std() / (first.labels.bincount().min() ** 0.5)
    assert (by_class - ground.mean(0)).abs().max() < 4.5 * error
