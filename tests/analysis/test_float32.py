"""Float32 kept whole: what is set within the block, what is put back, and what a product that rounds is taken for."""

from __future__ import annotations

import pytest
import torch

from analysis import float32
from analysis.float32 import full_float32, onednn_keeps_float32


@pytest.fixture(autouse=True)
def asked_anew():
    onednn_keeps_float32.cache_clear()
    yield
    onednn_keeps_float32.cache_clear()


@pytest.fixture
def without_tiles(monkeypatch):
    """A processor without tiles for bfloat16, whichever this one is."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_what_is_set_is_put_back_even_after_an_error(device, before):
    default = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision(before)
    try:
        with full_float32(device):
            assert not torch.backends.cudnn.allow_tf32
            if device == "cuda":
                assert torch.get_float32_matmul_precision() == "highest", "whatever the caller had"
        assert torch.get_float32_matmul_precision() == before
        with pytest.raises(RuntimeError), full_float32(device):
            torch.ones(2, 2) @ torch.ones(3, 3)
        assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision(default[0])
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == default


@pytest.mark.usefixtures("without_tiles")
def test_products_on_a_processor_go_to_onednn_where_they_keep_their_bits():
    assert onednn_keeps_float32()
    with full_float32():
        assert torch.get_float32_matmul_precision() == "medium"


def test_newer_settings_of_torch_are_left_as_they_are(monkeypatch):
    def refused() -> str:
        raise RuntimeError("mixed")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", refused)
    with full_float32():
        assert not torch.backends.cudnn.allow_tf32


@pytest.mark.usefixtures("without_tiles")
@pytest.mark.parametrize("rounded", [torch.bfloat16, torch.float16])
def test_a_product_that_rounds_its_factors_is_found(monkeypatch, rounded):
    full = torch.full
    monkeypatch.setattr(float32.torch, "full", lambda *given, **options: full(*given, **options).to(rounded).float())
    assert not onednn_keeps_float32()
    with full_float32():
        assert torch.get_float32_matmul_precision() == "highest"


def test_tiles_for_bfloat16_are_not_used(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    with full_float32():
        assert torch.get_float32_matmul_precision() == "highest"


def test_products_on_a_gpu_stay_at_the_default():
    with full_float32("cuda"):
        assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("shape", [(1, 7, 5), (3, 300, 2), (128, 784, 400), (500, 32, 900), (64, 4096, 10)])
def test_products_are_those_of_float64_to_the_error_of_float32(shape):
    rows, terms, columns = shape
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(rows, terms, generator=generator), torch.randn(terms, columns, generator=generator)
    with full_float32():
        product, transposed = left @ right, (right.T @ left.T).T
    exact, bound = left.double() @ right.double(), left.double().abs() @ right.double().abs()
    limit = 4 * terms**0.5 * torch.finfo(torch.float32).eps * bound
    assert bool(((product - exact).abs() <= limit).all())
    assert bool(((transposed - exact).abs() <= limit).all())
