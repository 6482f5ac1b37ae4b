import math
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from torch.utils._python_dispatch import TorchDispatchMode

from analysis import pairwise
from analysis.pairwise import differences, kernel, mixture_log_density, normal_log_density, products
from analysis.pairwise.differences import Differences
from analysis.pairwise.kernel import Kernel
from analysis.pairwise.products import Products

# Nats by which float32 may miss float64, for codes whose squared distances stay near D (see ``trained_codes``).
TOLERANCE = {1: 1e-5, 3: 1e-5, 32: 5e-4, 65: 5e-4, 300: 5e-4, 2_048: 1e-3, 65_536: 1e-2}


def trained_codes(num: int, dim: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes as a trained VAE gives them: up to 30 informative dimensions, the others near the prior."""
    generator = torch.Generator().manual_seed(seed)
    loc = 0.02 * torch.randn(num, dim, generator=generator)
    scale = 1 - 0.02 * torch.rand(num, dim, generator=generator)
    active = min(dim, 30)
    loc[:, :active] = torch.randn(num, active, generator=generator)
    scale[:, :active] = 0.05 + 0.2 * torch.rand(num, active, generator=generator)
    return loc, scale


def draws(loc: torch.Tensor, scale: torch.Tensor, num: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of randomly chosen components, and the components."""
    generator = torch.Generator().manual_seed(1)
    own = torch.randint(len(loc), (num,), generator=generator)
    return loc[own] + scale[own] * torch.randn(num, loc.shape[1], generator=generator), own


def oracle(z: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    weights = Categorical(logits=torch.zeros(len(loc), dtype=torch.float64))
    mixture = MixtureSameFamily(weights, Independent(Normal(loc.double(), scale.double()), 1))
    return mixture.log_prob(z.double()) + math.log(len(loc))


def oracle_without(z: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    index = torch.arange(len(loc))
    return torch.cat([oracle(z[i : i + 1], loc[index != n], scale[index != n]) for i, n in enumerate(own.tolist())])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("num", "points", "dim"),
    [(1, 1, 1), (2, 1, 3), (1, 25, 32), (31, 11, 3), (33, 13, 65), (100, 24, 300), (257, 37, 32), (64, 12, 2_048)],
)
def test_matches_the_float64_mixture(num, points, dim, dtype):
    loc, scale = (code.to(dtype) for code in trained_codes(num, dim))
    z, own = draws(loc, scale, points)
    total, without = mixture_log_density(z, [(loc, scale)], own)
    tolerance = TOLERANCE[dim] if dtype == torch.float32 else 1e-9
    assert total.dtype == without.dtype == torch.float64
    torch.testing.assert_close(total, oracle(z, loc, scale), rtol=0, atol=tolerance)
    if num == 1:
        assert bool((without == -math.inf).all())
    else:
        torch.testing.assert_close(without, oracle_without(z, loc, scale, own), rtol=0, atol=tolerance)


@pytest.mark.parametrize("way", [Differences, Kernel, Products])
@pytest.mark.parametrize(("num", "points", "dim"), [(2, 1, 3), (33, 13, 65), (257, 37, 32), (64, 12, 2_048)])
def test_every_way_gives_the_sum_of_the_others(way, num, points, dim):
    """Each is chosen by dtype and device, and right on any: on float32 codes here, whose sums are known in float64."""
    loc, scale = trained_codes(num, dim)
    z, own = draws(loc, scale, points)
    tolerance = TOLERANCE[dim] if way is Kernel else 1e-8
    for excluded, expected in [
        (torch.full_like(own, -1), oracle(z, loc, scale)),
        (own, oracle_without(z, loc, scale, own)),
    ]:
        running = way(z)
        for first in range(0, num, 20):
            running.add(loc[first : first + 20], scale[first : first + 20], excluded - first)
        torch.testing.assert_close(running.result(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("elements", [64, 1_000, 1 << 26])
def test_the_size_of_products_does_not_matter(monkeypatch, elements):
    loc, scale = trained_codes(70, 33)
    z, own = draws(loc, scale, 45)
    expected = Products(z)
    expected.add(loc, scale, own)
    monkeypatch.setattr(products, "FACTOR_ELEMENTS", elements)
    parts = Products(z)
    parts.add(loc, scale, own)
    torch.testing.assert_close(parts.result(), expected.result(), rtol=0, atol=1e-10)


def test_squares_that_would_cancel_are_not_expanded(monkeypatch):
    """A σ of 10⁻⁸ beside means of one: the expanded square has terms of 10¹⁶, whose rounding is a nat and more."""
    loc, scale = trained_codes(30, 9)
    scale = 1e-8 * scale
    z, _ = draws(loc.double(), scale.double(), 12)
    z = z.float()
    running = Products(z)
    running.add(loc, scale, torch.full((12,), -1))
    exact = Differences(z)
    exact.add(loc, scale, torch.full((12,), -1))
    torch.testing.assert_close(running.result(), exact.result(), rtol=1e-12, atol=0)
    monkeypatch.setattr(products, "LOSS", math.inf)
    expanded = Products(z)
    expanded.add(loc, scale, torch.full((12,), -1))
    assert float((expanded.result() - exact.result()).abs().max()) > 0.1


@pytest.mark.parametrize("scale", [1.0, 0.4, 0.02])
def test_narrow_codes_of_many_dimensions_are_expanded_and_exact(monkeypatch, scale):
    """The latent term of the question's model can be averaged alone, by which σ is about 0.4 in 65,536 dimensions."""
    generator = torch.Generator().manual_seed(0)
    loc = 0.4 * torch.randn(20, 65_536, generator=generator)
    width = scale * (0.9 + 0.2 * torch.rand(20, 65_536, generator=generator))
    z, own = draws(loc, width, 9)
    expected = oracle_without(z, loc, width, own)
    monkeypatch.delattr(products, "Differences")  # none is needed
    running = Products(z)
    running.add(loc, width, own)
    torch.testing.assert_close(running.result(), expected, rtol=0, atol=products.LOSS)


@pytest.mark.parametrize("dim", [1, 1_000, 5_000])
def test_the_bound_on_rounding_holds_where_it_is_the_largest_that_passes(dim):
    """Codes as narrow as are still expanded, against sums in higher precision."""
    generator = torch.Generator().manual_seed(dim)
    loc, z = torch.randn(12, dim, generator=generator), torch.randn(6, dim, generator=generator)
    squares = float(z.double().square().sum(1).max() + loc.double().square().sum(1).max())
    scale = torch.full((12, dim), math.sqrt(products.rounding(dim) * squares / products.LOSS) * (1 + 1e-6))
    running = Products(z)
    running.add(loc, scale, torch.full((6,), -1))
    wide = torch.from_numpy(
        np.square((z.numpy().astype(np.longdouble)[:, None] - loc.numpy()) / scale.numpy().astype(np.longdouble))
        .sum(-1)
        .astype(np.float64)
    )
    normaliser = dim * (math.log(float(scale[0, 0])) + 0.5 * math.log(2 * math.pi))
    torch.testing.assert_close(running.result(), (-0.5 * wide).logsumexp(1) - normaliser, rtol=0, atol=products.LOSS)


def test_65536_dimensions():
    loc, scale = trained_codes(24, 65_536)
    z, own = draws(loc, scale, 14)
    total, without = mixture_log_density(z, [(loc, scale)], own)
    torch.testing.assert_close(total, oracle(z, loc, scale), rtol=0, atol=TOLERANCE[65_536])
    torch.testing.assert_close(without, oracle_without(z, loc, scale, own), rtol=0, atol=TOLERANCE[65_536])


@pytest.mark.parametrize(("dim", "tolerance"), [(2_048, 1e-3), (65_536, 1e-2)])
def test_narrow_scales_and_large_means(dim, tolerance):
    """σ from 0.01 and |μ| to 5: μ/σ reaches 500, where the expanded square would lose whole nats."""
    generator = torch.Generator().manual_seed(0)
    centre = 10 * torch.rand(dim, generator=generator) - 5
    scale = 0.01 ** torch.rand(dim, generator=generator) * (1 + 0.1 * torch.rand(16, dim, generator=generator))
    loc = centre + scale * torch.randn(16, dim, generator=generator)
    z, own = draws(loc, scale, 12)
    total, without = mixture_log_density(z, [(loc, scale)], own)
    torch.testing.assert_close(total, oracle(z, loc, scale), rtol=0, atol=tolerance)
    torch.testing.assert_close(without, oracle_without(z, loc, scale, own), rtol=0, atol=tolerance)


def test_a_million_squared_distance():
    generator = torch.Generator().manual_seed(0)
    loc, scale = torch.randn(8, 65_536, generator=generator), torch.full((8, 65_536), 0.25)
    z = torch.zeros(3, 65_536)
    assert 0.9e6 < float((loc[0] / scale[0]).square().sum()) < 1.2e6
    torch.testing.assert_close(mixture_log_density(z, [(loc, scale)])[0], oracle(z, loc, scale), rtol=0, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_overlapping_components_need_every_exponential(dtype):
    loc = 0.3 * torch.randn(3_000, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    scale = torch.ones_like(loc)
    z, own = draws(loc, scale, 50)
    total, without = mixture_log_density(z, [(loc, scale)], own)
    torch.testing.assert_close(total, oracle(z, loc, scale), rtol=0, atol=5e-6)
    torch.testing.assert_close(without, oracle_without(z, loc, scale, own), rtol=0, atol=5e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leaving_out_never_subtracts(dtype):
    """The others are e^−5000 of the whole: subtracting would give −inf or NaN."""
    loc = torch.tensor([[0.0], [100.0], [-101.0]], dtype=dtype)
    z = torch.zeros(1, 1, dtype=dtype)
    total, without = mixture_log_density(z, [(loc, torch.ones_like(loc))], torch.tensor([0]))
    assert float(total) == pytest.approx(-0.5 * math.log(2 * math.pi), abs=1e-12)
    expected = -5_000 - 0.5 * math.log(2 * math.pi) + math.log1p(math.exp(-0.5 * (101**2 - 100**2)))
    assert float(without) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exclude_applies_per_point(dtype):
    loc, scale = (code.to(dtype) for code in trained_codes(70, 5))
    z, own = draws(loc, scale, 40)
    own[::3] = -1
    total, without = mixture_log_density(z, [(loc, scale)], own)
    torch.testing.assert_close(without[::3], total[::3], rtol=0, atol=0)
    torch.testing.assert_close(
        without[own >= 0], oracle_without(z[own >= 0], loc, scale, own[own >= 0]), rtol=0, atol=5e-4
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 7, 32, 200])
def test_blocks_do_not_matter(dtype, size):
    loc, scale = (code.to(dtype) for code in trained_codes(150, 40))
    z, own = draws(loc, scale, 30)
    whole = mixture_log_density(z, [(loc, scale)], own)
    parts = mixture_log_density(z, zip(loc.split(size), scale.split(size), strict=True), own)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_strided_codes_and_points():
    loc, scale = trained_codes(40, 12)
    z, _ = draws(loc, scale, 9)
    strided = mixture_log_density(z.T.contiguous().T, [(loc.T.contiguous().T, torch.ones(1, 1).expand(40, 12))])
    # Threads take tiles as they come, so that sums agree to rounding and not to the bit.
    torch.testing.assert_close(strided, mixture_log_density(z, [(loc, torch.ones(40, 12))]), rtol=1e-8, atol=1e-8)


def test_thread_count_does_not_matter():
    loc, scale = trained_codes(700, 20)
    z, own = draws(loc, scale, 100)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        single = mixture_log_density(z, [(loc, scale)], own)
        torch.set_num_threads(3)
        triple = mixture_log_density(z, [(loc, scale)], own)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(single, triple, rtol=0, atol=1e-6)


def test_concurrent_callers():
    loc, scale = trained_codes(300, 10)
    z, own = draws(loc, scale, 60)
    expected = mixture_log_density(z, [(loc, scale)], own)
    results = [None] * 4

    def call(slot: int) -> None:
        results[slot] = mixture_log_density(z, [(loc, scale)], own)

    callers = [threading.Thread(target=call, args=(slot,)) for slot in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for result in results:
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_spawned_workers_without_warnings(tmp_path):
    script = tmp_path / "program.py"
    script.write_text("""
import multiprocessing, torch
from concurrent.futures import ProcessPoolExecutor
from analysis.pairwise import mixture_log_density
def work(seed):
    z = torch.randn(20, 6, generator=torch.Generator().manual_seed(seed))
    threads = torch.get_num_threads()
    value = float(mixture_log_density(z, [(z, torch.ones(20, 6))])[0].sum())
    assert torch.get_num_threads() == threads
    return value
if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(work, range(2))) == [work(0), work(1)]
""")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(pairwise.__file__).parents[2])}
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_memory_does_not_grow_with_components_times_points():
    """2,000 × 2,000 pairs take 32 MB as float64; beyond its inputs a call may use a tenth of that."""
    loc, scale = trained_codes(2_000, 4)
    z, _ = draws(loc, scale, 2_000)
    mixture_log_density(z[:1], [(loc, scale)])
    tracemalloc.start()
    try:
        mixture_log_density(z, [(loc, scale)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3.2e6


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor made."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def test_tiles_keep_to_their_budget(monkeypatch):
    monkeypatch.setattr(differences, "TILE_ELEMENTS", 100_000)
    loc, scale = (code.double() for code in trained_codes(900, 8))
    z, own = draws(loc, scale, 700)
    with LargestTensor() as largest:
        mixture_log_density(z, [(loc, scale)], own)
    assert largest.elements <= 100_000


def test_scratch_memory_is_bounded_in_points(monkeypatch):
    loc, scale = trained_codes(40, 6)
    z, own = draws(loc, scale, 100)
    expected = mixture_log_density(z, [(loc, scale)], own)
    monkeypatch.setattr(kernel, "GROUP", 30)
    torch.testing.assert_close(mixture_log_density(z, [(loc, scale)], own), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("elements", [1, 100, 5_000])
def test_tile_budget_does_not_matter(monkeypatch, elements):
    loc, scale = (code.double() for code in trained_codes(40, 300))
    z, own = draws(loc, scale, 9)
    expected = mixture_log_density(z, [(loc, scale)], own)
    monkeypatch.setattr(differences, "TILE_ELEMENTS", elements)
    torch.testing.assert_close(mixture_log_density(z, [(loc, scale)], own), expected, rtol=0, atol=1e-10)


def test_exponential_is_right_to_float32():
    x = -np.geomspace(1e-8, 80, 2_001).astype(np.float32)
    values = np.array([kernel.exp_float32(value) for value in x], np.float64)
    np.testing.assert_allclose(values, np.exp(x.astype(np.float64)), rtol=3e-7)
    assert kernel.exp_float32(np.float32(0)) == 1
    assert kernel.exp_float32(np.float32(-np.inf)) < 1e-34


def test_log_determinant_over_the_whole_range_of_scales():
    exponents = np.linspace(-37.5, 38, 1_001)
    scale = (10.0**exponents).astype(np.float32)
    assert kernel._log_determinant(scale) == pytest.approx(float(np.log(scale.astype(np.float64)).sum()), abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_paired(dtype):
    loc, scale = (code.to(dtype) for code in trained_codes(20, 9))
    z, own = draws(loc, scale, 6)
    expected = Independent(Normal(loc[own].double(), scale[own].double()), 1).log_prob(z.double())
    assert normal_log_density(z, loc[own], scale[own]).dtype == torch.float64
    torch.testing.assert_close(normal_log_density(z, loc[own], scale[own]), expected, rtol=0, atol=1e-12)


def test_distances_beyond_float32_are_minus_infinity_and_not_nan():
    z, loc = torch.full((2, 2), 3e38), torch.full((3, 2), -3e38)
    total, without = mixture_log_density(z, [(loc, torch.full((3, 2), 1e-37))])
    assert bool((total == -math.inf).all())
    assert bool((without == -math.inf).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["points", "loc", "scale"])
def test_refuses_values_that_are_not_finite(name, bad, dtype):
    tensors = {key: torch.ones(5, 3, dtype=dtype) for key in ("points", "loc", "scale")}
    tensors[name][3, 1] = bad
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        mixture_log_density(tensors["points"], [(tensors["loc"], tensors["scale"])])


@pytest.mark.parametrize("bad", [0.0, -1.0, 1e-40])
def test_refuses_scales_that_are_not_positive(bad):
    scale = torch.ones(5, 3)
    scale[4, 2] = bad
    with pytest.raises(ValueError, match="scale must be positive"):
        mixture_log_density(torch.ones(2, 3), [(torch.ones(5, 3), scale)])


@pytest.mark.parametrize(
    ("points", "loc", "scale", "exclude", "message"),
    [
        (torch.ones(3), torch.ones(2, 3), torch.ones(2, 3), None, r"points must be floating point \(M, D\)"),
        (torch.ones(0, 3), torch.ones(2, 3), torch.ones(2, 3), None, r"points must be floating point \(M, D\)"),
        (torch.ones(1, 3).long(), torch.ones(2, 3), torch.ones(2, 3), None, "points must be floating point"),
        (torch.ones(1, 3), torch.ones(2, 4), torch.ones(2, 4), None, r"must both be \(n, 3\)"),
        (torch.ones(1, 3), torch.ones(2, 3), torch.ones(1, 3), None, r"got scale \(1, 3\)"),
        (torch.ones(1, 3), torch.ones(2, 3).double(), torch.ones(2, 3), None, "points' dtype and device"),
        (torch.ones(1, 3), torch.ones(2, 3), torch.ones(2, 3), torch.tensor([2]), "below the number of components, 2"),
        (torch.ones(1, 3), torch.ones(2, 3), torch.ones(2, 3), torch.tensor([-2]), "exclude must be int64"),
        (torch.ones(1, 3), torch.ones(2, 3), torch.ones(2, 3), torch.tensor([0.0]), "exclude must be int64"),
        (torch.ones(1, 3), torch.ones(2, 3), torch.ones(2, 3), torch.tensor([0, 1]), "exclude must be int64"),
    ],
)
def test_refuses_what_does_not_fit(points, loc, scale, exclude, message):
    with pytest.raises(ValueError, match=message):
        mixture_log_density(points, [(loc, scale)], exclude)


def test_refuses_no_components():
    with pytest.raises(ValueError, match="at least one component"):
        mixture_log_density(torch.ones(1, 3), [])
