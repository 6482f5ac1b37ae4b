r"""Transposed convolution to few channels, as a product of matrices.

    y[p] = Σ_i Σ_c x[c, i] w[c, p + padding − stride · i]

at each place p of a channel of the output, in each direction. All that the kernels can give is one product of matrices,

    g[κ, i] = Σ_c x[c, i] w[c, κ],

of which an output adds those that reach it, κ = p + padding − stride · i. Its places p ≡ a modulo the stride take the
same κ, so that a sum of shifted maps gives them all. Libraries compute 16 channels at once, of which an image has one
or three: by the product a layer from 32 channels of 14 × 14 to one took a fifth of the time, and to three between half
and all of it, on an AMD EPYC.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

MOST_CHANNELS = 3
"""Of the output, up to which the product is faster: those of an image."""


def transposed_convolution(
    maps: Tensor,
    kernels: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    output_padding: tuple[int, int] = (0, 0),
) -> Tensor:
    """What ``torch.nn.functional.conv_transpose2d`` gives of ungrouped kernels without holes.

    maps: ``(B, inputs, h, w)``.
    kernels: ``(inputs, outputs, height, width)``.
    bias: ``(outputs,)``, or None.
    stride, padding, output_padding: in places, of rows and of columns.

    >>> maps, kernels = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 4, 4)
    >>> transposed_convolution(maps, kernels, None, (2, 2), (1, 1))[0, 0]
    tensor([[1., 2., 2., 1.],
            [2., 4., 4., 2.],
            [2., 4., 4., 2.],
            [1., 2., 2., 1.]])
    """
    given = torch.matmul(kernels.flatten(1).t(), maps.flatten(2))
    given = given.unflatten(2, maps.shape[2:]).unflatten(1, kernels.shape[1:])  # (B, outputs, κ, κ′, h, w)
    columns = _added(given, stride[1], padding[1], output_padding[1])
    rows = _added(columns.transpose(-1, -2), stride[0], padding[0], output_padding[0]).transpose(-1, -2)
    return rows if bias is None else rows + bias[:, None, None]


def _added(given: Tensor, stride: int, padding: int, output_padding: int) -> Tensor:
    """What reaches each place of the last axis: ``(…, κ, before, h)`` to ``(…, before, H)``."""
    size, places = given.shape[-3], given.shape[-1]
    length = (places - 1) * stride - 2 * padding + size + output_padding
    steps = -(-length // stride)
    if size < stride:  # between kernels are places that none reaches
        given, size = F.pad(given, (0, 0, 0, 0, 0, stride - size)), stride
    by_remainder = []
    for remainder in range(stride):
        first, before = (remainder + padding) % stride, (remainder + padding) // stride
        starts = [before - index for index in range(len(range(first, size, stride)))]
        shifted = [
            F.pad(given.select(-3, first + stride * index), (-start, start + steps - places))
            for index, start in enumerate(starts)
        ]
        by_remainder.append(sum(shifted[1:], shifted[0]))
    return torch.stack(by_remainder, dim=-1).flatten(-2)[..., :length]
