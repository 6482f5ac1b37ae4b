"""Seconds and errors of the aggregate log-density against its alternatives, side by side in one run.

Run with ``uv run python tests/benchmarks/aggregate_density.py``, with ``--dims 32,256,2048 --components 60000
--queries 2000 --codes trained --device cpu`` as defaults.

- naive broadcast: all (query, component, dimension) terms at once, as beta-tcvae and most VAE code has it;
- mixture same family: the mixture of torch.distributions;
- gemm expansion: z²/σ² − 2zμ/σ² + μ²/σ² as one float32 matrix product, then log-sum-exp;
- exact kernel: ``analysis.pairwise.mixture_log_density``, validation and packing included.

Seconds are the best of five. The first two run once, on a few queries, and their seconds are scaled to all of them.
Errors are the largest of a few queries against float64. The fraction of peak counts two fused multiply-adds (4 flops)
per query, component and dimension against the faster of a large matrix product and multiply-adds on data in the first
cache, measured just before. On a GPU the peak is that of the product, and the exact density consists of products in
double precision, which are compared with the peak in single precision all the same.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from analysis.float32 import full_float32
from analysis.pairwise import kernel, mixture_log_density

LOG_2PI = math.log(2 * math.pi)
SUBSET_ELEMENTS, REFERENCE_QUERIES, REPEATS = 1 << 26, 4, 5


def trained_codes(num: int, dim: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Codes as a trained VAE gives them: 30 informative dimensions, the others near the prior."""
    loc, scale = torch.randn(num, dim, generator=generator), torch.rand(num, dim, generator=generator)
    loc[:, 30:] *= 0.02
    scale[:, :30] = 0.05 + 0.2 * scale[:, :30]
    scale[:, 30:] = 1 - 0.02 * scale[:, 30:]
    return loc, scale


def overlapping_codes(num: int, dim: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Nearly collapsed codes: every component is within reach of every query, so no exponential is saved."""
    loc, scale = torch.randn(num, dim, generator=generator), torch.ones(num, dim)
    return loc / dim**0.5, scale


def spread_codes(num: int, dim: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every dimension informative, σ from 0.05 to 0.95: squared distances far above D, the hardest for float32."""
    return torch.randn(num, dim, generator=generator), 0.05 + 0.9 * torch.rand(num, dim, generator=generator)


CODES = {"trained": trained_codes, "overlapping": overlapping_codes, "spread": spread_codes}


def naive_broadcast(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """The log-sum from all terms at once."""
    terms = -0.5 * (((z[:, None] - loc) / scale).square() + 2 * scale.log() + LOG_2PI)
    return terms.sum(-1).logsumexp(-1)


def mixture_same_family(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """The log-sum by torch.distributions."""
    weights = Categorical(logits=loc.new_zeros(len(loc)))
    return MixtureSameFamily(weights, Independent(Normal(loc, scale), 1)).log_prob(z) + math.log(len(loc))


def gemm_expansion(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """The log-sum by one matrix product per block of queries."""
    precision = scale.square().reciprocal()
    weighted = loc * precision
    right = torch.cat([precision, -2 * weighted], 1)
    constant = (loc * weighted + 2 * scale.log() + LOG_2PI).sum(1)
    blocks = (torch.cat([q.square(), q], 1) for q in z.split(250))
    return torch.cat([torch.addmm(constant, block, right.T).mul_(-0.5).logsumexp(1) for block in blocks])


def exact_kernel(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """The log-sum of this package."""
    return mixture_log_density(z, [(loc, scale)])[0]


def seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Best wall time after one unmeasured call."""
    run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times)


def clock() -> float:
    """Seconds, once GPUs have done what they were asked for."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


@njit(nogil=True)
def multiply_adds(queries: np.ndarray, panel: np.ndarray, sums: np.ndarray, reach: np.ndarray, count: int) -> int:
    """The kernel's inner loop on data that stay in the first cache."""
    hits = 0
    for _ in range(count):
        hits += kernel._accumulate(queries, panel, sums, sums, reach)
    return hits


def peak_gflops(device: str) -> float:
    """The faster of a matrix product and, on a processor, of multiply-adds in registers, all threads, in GFLOP/s."""
    size, count, depth, threads = 2_048, 4_000, 64, torch.get_num_threads()
    matrix = torch.randn(size, size, device=device)
    with full_float32(device):
        product = 2e-9 * size**3 / seconds(lambda: matrix @ matrix)
    if device != "cpu":
        return product
    queries, panel = np.zeros((depth, kernel.QUERIES), np.float32), np.zeros((depth, 2, kernel.LANES), np.float32)

    def work(_: int) -> int:
        return multiply_adds(queries, panel, np.zeros((kernel.QUERIES, kernel.LANES)), np.zeros(kernel.QUERIES), count)

    with ThreadPoolExecutor(threads) as pool:
        elapsed = seconds(lambda: list(pool.map(work, range(threads))))
    return max(product, 4e-9 * threads * count * depth * kernel.QUERIES * kernel.LANES / elapsed)


def compare(dim: int, components: int, queries: int, kind: str, device: str = "cpu") -> None:
    """Print one table."""
    generator = torch.Generator().manual_seed(0)
    loc, scale = CODES[kind](components, dim, generator)
    own = torch.randint(components, (queries,), generator=generator)
    z = loc[own] + scale[own] * torch.randn(queries, dim, generator=generator)
    z, loc, scale = z.to(device), loc.to(device), scale.to(device)
    some = z[:REFERENCE_QUERIES]
    chunks = ((m.double(), s.double()) for m, s in zip(loc.split(1_000), scale.split(1_000), strict=True))
    reference, _ = mixture_log_density(some.double(), chunks)
    subset = max(1, min(queries, SUBSET_ELEMENTS // (components * dim)))
    peak = peak_gflops(device)
    print(f"\nD = {dim}, N = {components}, M = {queries}, {kind} codes; first two on {subset} queries")
    place = f"{torch.get_num_threads()} threads" if device == "cpu" else torch.cuda.get_device_name()
    print(f"fp32 peak {peak:.0f} GFLOP/s on {place}")
    print(f"{'':20}{'seconds':>10}{'ratio':>9}{'error/nats':>12}{'of peak':>9}")
    naive = 0.0
    for run, used in (
        (naive_broadcast, subset),
        (mixture_same_family, subset),
        (gemm_expansion, queries),
        (exact_kernel, queries),
    ):
        part = z[:used]
        elapsed = (
            seconds(lambda run=run, part=part: run(part, loc, scale), 1 if used < queries else REPEATS) * queries / used
        )
        naive = naive or elapsed
        parts = [run(q, loc, scale) for q in some.split(subset)]
        error = float((torch.cat(parts).double() - reference).abs().max())
        share = f"{4e-9 * components * queries * dim / elapsed / peak:9.2f}" if run is exact_kernel else ""
        print(f"{run.__name__.replace('_', ' '):20}{elapsed:10.3f}{naive / elapsed:9.1f}{error:12.1e}{share}")


def main() -> None:
    """Parse the command line and print one table per number of dimensions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dims", default="32,256,2048", help="latent dimensions, comma-separated")
    parser.add_argument("--components", type=int, default=60_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--codes", choices=sorted(CODES), default="trained")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    for dim in map(int, options.dims.split(",")):
        compare(dim, options.components, options.queries, options.codes, options.device)


if __name__ == "__main__":
    main()
