r"""Products: layers of the traced update of one replicate, as the products of matrices that a processor makes fastest.

A dense layer gives x Wᵀ + b, of rows x ``(B, in)`` and weights W ``(out, in)``. oneDNN shares the rows of a product
among the threads, each of which then stores all of the second factor anew, in the order in which it reads it: where
there are few images, storing Wᵀ is a large part of the work. (W xᵀ)ᵀ + b is the same sum; threads share the rows of W,
and xᵀ is what each stores. Its result has the order in which the next layer reads xᵀ. And b is added where the next
function of the sum is computed, not before the product in a pass of its own.

A transposed convolution to few channels is a product by itself (`models/transposed_convolution.py`).

:data:`SINGLE` and :data:`FUSED` have these forms by the operation that they stand for, as the tracer takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from models.transposed_convolution import MOST_CHANNELS, transposed_convolution

MOST_ROWS = 256
"""B above which dense layers stay as they are. An update of 784-400-400-32 took 0.89 to 0.96 of the time for 32 to 256
images on two threads of an AMD EPYC, and 1.05 for 512: of more rows storing Wᵀ is a small part, and what is computed
between layers reads columns. With layers of 1,024 it took 1.03 for 128. On one thread all of these took the same time
within what repeats differ by, but for 32 (0.9)."""

MOST_OVERLAP = 4
"""Places of the input that reach one of the output, up to which a transposed convolution is a product: it has so many
numbers for each of the output. Kernel 4 and stride 2 is what was measured."""


def dense(bias: Tensor, rows: Tensor, weights: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``bias + rows @ weights``, ``(B, out)``, where that is a dense layer's sum, or ``NotImplemented``.

    bias: ``(out,)``.
    rows: float32 ``(B, in)``. Layers in less are left, since b would be added to what is rounded already, and those in
        float64 are not made by oneDNN.
    weights: ``(in, out)``, a view of what is stored as ``(out, in)``.
    beta, alpha: factors on the terms, which layers do not have.
    """
    is_layer = bias.ndim == 1 and weights.stride() == (1, len(weights)) and beta == alpha == 1
    if not is_layer or rows.dtype != torch.float32 or len(rows) > MOST_ROWS:
        return NotImplemented
    return torch.mm(weights.t(), rows.t()).t() + bias


def convolution(
    maps: Tensor,
    kernels: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
) -> Tensor:
    """A transposed convolution to an image, ``(B, channels, height, width)``, or ``NotImplemented`` for any other.

    maps: float32 ``(B, in, height, width)``.
    kernels: ``(in, channels, height, width)``.
    bias: ``(channels,)``, if any.
    stride, padding, dilation, transposed, output_padding, groups: as of ``aten.convolution``.
    """
    is_plain = transposed and groups == 1 and set(dilation) == {1}
    is_of_images = maps.ndim == 4 and len(stride) == len(padding) == len(output_padding) == 2
    if not is_plain or not is_of_images or maps.dtype != torch.float32 or kernels.shape[1] > MOST_CHANNELS:
        return NotImplemented
    if kernels[0, 0].numel() > MOST_OVERLAP * stride[0] * stride[1]:
        return NotImplemented
    pairs = ((first, second) for first, second in (stride, padding, output_padding))
    return transposed_convolution(maps, kernels, bias, *pairs)


SINGLE: dict[OpOverload, Callable[..., Any]] = {torch.ops.aten.convolution.default: convolution}
"""For operations that run one by one, in which a bias added apart costs a pass and columns are read slowly."""

FUSED = SINGLE | {torch.ops.aten.addmm.default: dense}
"""For operations that a compiler joins."""
