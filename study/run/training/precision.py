"""Precision of matrix products and convolutions while training; measurement runs at full fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from study.measurement.precision import full_float32


@contextmanager
def matmul_precision(device: torch.device) -> Iterator[None]:
    """On a CPU "medium" routes products to oneDNN, still in true fp32, unless the CPU would use bf16 tiles for it.

    On CUDA it would mean bf16: there products stay at torch's default, fp32, and convolutions are brought to it.
    """
    before = torch.get_float32_matmul_precision()
    if device.type == "cpu" and not torch.cpu._is_amx_tile_supported():
        torch.set_float32_matmul_precision("medium")
    try:
        with full_float32():
            yield
    finally:
        torch.set_float32_matmul_precision(before)
