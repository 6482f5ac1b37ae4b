"""Precision of products and convolutions on a GPU.

Torch lets the convolutions of a GPU round their inputs to ten bits (TensorFloat-32), whatever the tensors are. An error
of 10⁻³ of each code is more than the standard error of many an estimate.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolutions of float32 on a GPU keep all 24 bits within the block.

    >>> with full_float32():
    ...     torch.backends.cudnn.allow_tf32
    False
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
