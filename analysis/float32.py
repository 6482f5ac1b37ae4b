"""Float32 kept whole: products and convolutions with all 24 bits of it, by oneDNN where it keeps them.

Torch may round the inputs of float32 convolutions on a GPU to eleven bits (TensorFloat-32), whatever the tensors are.
An error of 10⁻³ of each code is more than the standard error of many an estimate.

On a processor torch multiplies float32 matrices by MKL, which was measured to reach half of the peak of one of AMD
(108 of 237 GFLOP/s a core, EPYC with AVX-512), where oneDNN reaches it. Torch hands products to oneDNN under the name
"medium", which allows it to round their factors to bfloat16. It does so on processors with tiles for bfloat16, which
are left out; whether it does elsewhere is seen by its products before they are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

_SHAPES = ((64, 256, 64), (128, 784, 400), (1_000, 64, 500))
"""Of the products that are looked at, rows, terms and columns."""


@contextmanager
def full_float32(device: torch.device | str = "cpu") -> Iterator[None]:
    """Float32 keeps all of its bits on ``device`` within the block, and products on a processor go to oneDNN.

    What it sets holds for the process, not for one thread of it, and is put back. Where torch was told of the precision
    of products by its newer settings, which forbid the older, those are left as they are.

    Args:
        device: where the block computes.

    >>> with full_float32("cuda"):
    ...     torch.backends.cudnn.allow_tf32
    False
    """
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        # On a GPU "medium" would mean bfloat16.
        with _products("medium" if torch.device(device).type == "cpu" and onednn_keeps_float32() else "highest"):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = tf32


@contextmanager
def _products(precision: str) -> Iterator[None]:
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:
        yield
        return
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@cache
def onednn_keeps_float32() -> bool:
    """Whether products that torch may hand to oneDNN keep the bits of float32 on this processor, looked at once.

    The product of a matrix of 1 + 2⁻¹² with one of ones tells: bfloat16 and TensorFloat-32 round its entries to 1.
    """
    if torch.cpu._is_amx_tile_supported():
        return False
    with _products("medium"), torch.autocast("cpu", enabled=False), torch.no_grad():
        return all(_keeps_bits(*shape) for shape in _SHAPES)


def _keeps_bits(rows: int, terms: int, columns: int) -> bool:
    """Whether products of such matrices, as they are, turned, added to and stacked, keep their bits."""
    left = torch.full((rows, terms), 1 + 2.0**-12, dtype=torch.float32, device="cpu")
    right = torch.ones(terms, columns, dtype=torch.float32, device="cpu")
    turned = torch.ones(columns, terms, dtype=torch.float32, device="cpu").T
    stacked = left.expand(2, -1, -1) @ right.expand(2, -1, -1)
    products = (left @ right, left @ turned, torch.addmm(torch.zeros_like(right[0]), left, right), stacked)
    return all(bool(((each / terms - 1) / 2.0**-12 - 1).abs().max() < 0.1) for each in products)
