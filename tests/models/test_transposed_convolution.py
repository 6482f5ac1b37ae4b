"""Transposed convolution as a product of matrices, beside torch's own."""

import pytest
import torch
from torch.nn import functional as F

from models.transposed_convolution import transposed_convolution


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding"),
    [
        ((4, 4), (2, 2), (1, 1), (0, 0)),
        ((3, 3), (2, 2), (1, 1), (1, 1)),
        ((3, 5), (1, 3), (1, 2), (0, 2)),
        ((5, 2), (3, 2), (4, 0), (1, 0)),
        ((1, 2), (2, 4), (0, 1), (1, 3)),
        ((1, 1), (1, 1), (0, 0), (0, 0)),
    ],
    ids=str,
)
def test_it_is_torchs(outputs, kernel, stride, padding, output_padding):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 5, 6, 7, generator=generator, dtype=torch.float64)
    kernels = torch.randn(5, outputs, *kernel, generator=generator, dtype=torch.float64)
    for bias in (None, torch.randn(outputs, generator=generator, dtype=torch.float64)):
        expected = F.conv_transpose2d(maps, kernels, bias, stride, padding, output_padding)
        found = transposed_convolution(maps, kernels, bias, stride, padding, output_padding)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        assert found.is_contiguous(), "callers may view what torch gives"


@pytest.mark.parametrize(("kernel", "padding", "sides"), [(5, 2, (1, 1)), (7, 3, (1, 2)), (9, 4, (3, 3))])
def test_maps_may_be_smaller_than_the_padding(kernel, padding, sides):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, *sides, generator=generator, dtype=torch.float64)
    kernels = torch.randn(3, 1, kernel, kernel, generator=generator, dtype=torch.float64)
    expected = F.conv_transpose2d(maps, kernels, None, 1, padding)
    torch.testing.assert_close(transposed_convolution(maps, kernels, None, (1, 1), (padding, padding)), expected)


def test_one_pixel_reaches_where_the_kernel_says():
    maps = torch.zeros(1, 1, 2, 3)
    maps[0, 0, 1, 2] = 1.0
    kernel = torch.arange(1.0, 5.0).reshape(1, 1, 2, 2)
    found = transposed_convolution(maps, kernel, None, (3, 2), (0, 0))[0, 0]
    assert torch.equal(found[3:5, 4:6], kernel[0, 0])
    assert found.count_nonzero() == 4
