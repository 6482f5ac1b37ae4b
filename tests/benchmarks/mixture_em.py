"""Seconds per EM iteration against scikit-learn's GaussianMixture, same start, same codes, in one run.

Run with ``uv run python tests/benchmarks/mixture_em.py``. Both climb from the same parameters; the time is that of
the iterations after the first, and the last figure compares the log-likelihoods that they arrive at. Covariances of low
rank stand alone: scikit-learn has no mixture of factor analysers. Products of float32 are made as in a study, see
``analysis/float32.py``.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Reference

from analysis.float32 import full_float32
from analysis.mixtures import COVARIANCES, CovarianceName, GaussianMixture, expectation_maximisation
from analysis.mixtures.codes import CentredCodes

NUM_CODES, NUM_COMPONENTS, ITERATIONS, REPEATS = 60_000, 100, 5, 3


def planted_codes(dim: int) -> torch.Tensor:
    """Codes of a hundred clusters whose centres are two standard deviations apart per dimension."""
    generator = torch.Generator().manual_seed(0)
    centres = 2 * torch.randn(NUM_COMPONENTS, dim, generator=generator, dtype=torch.float64)
    labels = torch.randint(NUM_COMPONENTS, (NUM_CODES,), generator=generator)
    return centres[labels] + torch.randn(NUM_CODES, dim, generator=generator, dtype=torch.float64)


def seconds_per_iteration(runs: Mapping[str, Callable[[int], object]]) -> dict[str, float]:
    """Extra time per iteration of long runs over short ones, each the best of ``REPEATS`` taken in turn."""
    best = {(name, length): math.inf for name in runs for length in (1, 1 + ITERATIONS)}
    for _ in range(REPEATS):
        for (name, length), seconds in best.items():
            begin = time.perf_counter()
            runs[name](length)
            best[name, length] = min(seconds, time.perf_counter() - begin)
    return {name: (best[name, 1 + ITERATIONS] - best[name, 1]) / ITERATIONS for name in runs}


def started(codes: torch.Tensor, covariance: CovarianceName, rank: int | None = None) -> GaussianMixture:
    """A mixture about a hundred of the codes, each component with the variances of all."""
    generator = torch.Generator().manual_seed(1)
    centres = codes[torch.randperm(NUM_CODES, generator=generator)[:NUM_COMPONENTS]]
    components = COVARIANCES[covariance].spread(centres, codes.var(0), rank, generator)
    return GaussianMixture(torch.full((NUM_COMPONENTS,), 1 / NUM_COMPONENTS, dtype=torch.float64), components)


def fits(codes: torch.Tensor, start: GaussianMixture) -> dict[str, Callable[[int], GaussianMixture]]:
    """EM from ``start`` for a number of iterations, in either precision."""

    def fit(codes: CentredCodes, iterations: int) -> GaussianMixture:
        return expectation_maximisation(codes, start, max_iterations=iterations, tolerance=-1.0, regularisation=0.0)

    return {
        str(dtype).removeprefix("torch."): partial(fit, CentredCodes(codes.to(dtype)))
        for dtype in (torch.float64, torch.float32)
    }


def alone(covariance: CovarianceName, dim: int, rank: int) -> None:
    """Prints the seconds of a kind that has no peer."""
    codes = planted_codes(dim)
    seconds = seconds_per_iteration(fits(codes, started(codes, covariance, rank)))
    print(f"{covariance} of rank {rank}, K={NUM_COMPONENTS} D={dim} N={NUM_CODES}, per iteration")
    for name, value in seconds.items():
        print(f"  {name}: {value:.4f} s")


def compare(covariance: CovarianceName, reference_covariance: str, dim: int) -> None:
    """Prints one line per precision."""
    codes = planted_codes(dim)
    start = started(codes, covariance)
    precision = codes.var(0).reciprocal()
    precisions = {
        "diagonal": precision.expand(NUM_COMPONENTS, -1),
        "full": precision.diag().expand(NUM_COMPONENTS, -1, -1),
        "tied": precision.diag(),
    }

    def reference(iterations: int) -> Reference:
        fit = Reference(
            NUM_COMPONENTS,
            covariance_type=reference_covariance,
            weights_init=start.weights.numpy(),
            means_init=start.means.numpy(),
            precisions_init=precisions[covariance].numpy(),
            max_iter=iterations,
            init_params="random_from_data",
            tol=0,
            reg_covar=0,
        )
        return fit.fit(codes.numpy())

    own = fits(codes, start)
    seconds = seconds_per_iteration({"scikit-learn": reference, **own})
    baseline, target = seconds["scikit-learn"], reference(ITERATIONS).score(codes.numpy())
    print(f"{covariance} K={NUM_COMPONENTS} D={dim} N={NUM_CODES}: scikit-learn {baseline:.4f} s per iteration")
    for name, fit in own.items():
        difference = float(fit(ITERATIONS).log_prob(codes).mean()) - target
        print(
            f"  {name}: {seconds[name]:.4f} s, {baseline / seconds[name]:.1f} times as fast, "
            f"log-likelihood {difference:+.1e} nats per code"
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    with full_float32():
        compare("full", "full", 16)
        compare("diagonal", "diag", 64)
        compare("tied", "tied", 64)
        alone("low_rank", 64, rank=8)
