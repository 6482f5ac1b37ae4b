"""Precision of matrix products while training; measurement runs at torch's default, full fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def matmul_precision(device: torch.device) -> Iterator[None]:
    """On a CPU "medium" routes products to oneDNN, still in true fp32, unless the CPU would use bf16 tiles for it.

    Elsewhere nothing changes: "medium" on CUDA means bf16.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cpu" and not torch.cpu._is_amx_tile_supported():
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
