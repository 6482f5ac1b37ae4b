"""Cost: how long a diagnosis will take, from the speed of small passes, and what each fitted density took.

A pass evaluates M draws under N components of D dimensions. The other estimates that grow with N or D are counted in
multiply-adds of a pass of 1,024 dimensions: on one core of an AMD EPYC, it does 2.3e10 of them in a second, and the
time of each of the others, divided by what it grows with, gave the constants below. What is not counted, and other
work on the same computer, may take twice that time more, so that a range is said.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import torch

from analysis.density_fits import FittedDensity
from analysis.density_fits.aggregate_kernel import MOST_LOGS
from analysis.numerals import duration
from analysis.pairwise import mixture_log_density
from analysis.randomness import stream
from analysis.tree import Records
from study.measurement.densities import Fitted
from study.measurement.encoding import decode
from study.measurement.estimators import growth
from study.measurement.replicate import Replicate
from study.measurement.sources import registered

PROBE_POINTS, PROBE_CODES, PROBE_DIM = 1_024, 8_192, 1_024

PROBE_IMAGES = 8

PASSES = 6
"""Evaluations of M draws under all N components: of both splits, of the prior, and of held-out draws."""

START = 100_000_000_000
"""Multiply-adds in whose time the estimators import what they need, and the results and the page are written."""

MOST = 3
"""Times the estimate that a diagnosis is said to take at most."""

SUBSETS = 1_600
"""Multiply-adds for each pair of a point and a bubble, of growing subsets."""

TREES = 50_000_000
"""For each dimension and split, of a classifier of codes against prior draws."""

FITS: dict[str, Callable[[int, int, int], float]] = {
    "aggregate_kernel": lambda num, others, dim: 2_800 * min(num * others // 2, MOST_LOGS),  # of six bandwidths
    "gaussian_mixture": lambda num, others, dim: 35_000 * num * dim,  # up to 100 components by EM
}
"""Of densities that take long: of N codes, as many held-out ones, and D dimensions."""


def seconds(replicate: Replicate) -> float:
    """Seconds that a diagnosis takes at least on this computer, without what samples take to decode.

    Args:
        replicate: what is to be measured.
    """
    evaluate, dim = replicate.evaluate, math.prod(replicate.vae.prior.latent_shape)
    num, others = len(replicate.train), len(replicate.held_out)
    passes = PASSES * evaluate.draws * (num + others) * dim
    work: float = START
    # Densities and subsets are of the codes that are in memory.
    kept = len(replicate.train.rows)
    work += sum(FITS[part.name](kept, others, dim) for part in evaluate.densities if part.name in FITS)
    if "growth" not in evaluate.omit:
        work += SUBSETS * growth.REPEATS * growth.DRAWS * (kept + others)
    if evaluate.two_sample_draws:
        work += TREES * 2 * dim
    return passes / _speed(min(dim, PROBE_DIM)) + work / _speed(PROBE_DIM)


def decoding_seconds(replicate: Replicate) -> float:
    """Seconds that the images of all sources take to decode, from the time of a few.

    Args:
        replicate: what is to be measured; its model decodes.
    """
    z = replicate.prior_z[:PROBE_IMAGES]
    decode(replicate.vae, z).cpu()  # the first call may set up what later ones use
    began = time.perf_counter()
    decode(replicate.vae, z).cpu()  # which waits for an accelerator
    each = (time.perf_counter() - began) / len(z)
    return each * replicate.evaluate.samples * (len(registered()) + len(replicate.evaluate.densities))


def _speed(dim: int) -> float:
    """Multiply-adds in a second of a pass over codes of ``dim`` dimensions."""
    generator = stream(0, "speed of a pass")
    points = torch.randn(PROBE_POINTS, dim, generator=generator)
    loc = torch.randn(PROBE_CODES, dim, generator=generator)
    scale = torch.full_like(loc, 0.5)
    mixture_log_density(points[:8], [(loc, scale)], None)  # compiles
    began = time.perf_counter()
    mixture_log_density(points, [(loc, scale)], None)
    return PROBE_POINTS * PROBE_CODES * dim / (time.perf_counter() - began)


def announced(replicate: Replicate) -> str:
    """A line that says what is to be done and how long it may take."""
    num, others, dim = len(replicate.train), len(replicate.held_out), math.prod(replicate.vae.prior.latent_shape)
    parts = [
        f"N = {num:,}, D = {dim:,}, {others:,} held out",
        f"{replicate.evaluate.draws:,} draws under all N components",
    ]
    if (kept := len(replicate.train.rows)) < num:
        parts.append(f"densities fitted to {kept:,} codes, which fit in memory")
    decodes = replicate.vae.likelihood.gives != "nothing"
    decoding = decoding_seconds(replicate) if decodes else 0.0
    least = seconds(replicate) + decoding
    of_these = f", of which at least {duration(decoding)} for decoding samples" if decodes else ""
    return f"{'; '.join(parts)}; between {duration(least)} and {duration(MOST * least)} in all{of_these}"


def of_fits(densities: Mapping[str, Fitted]) -> Records | None:
    """What each density took, by name: ``seconds`` of processor time, ``numbers`` that it is kept as (NaN where
    unknown) and ``num_codes`` that it was fitted to; None where none was fitted.

    Args:
        densities: as they were fitted; those that were refused are left out.
    """
    fits = {name: one for name, one in densities.items() if isinstance(one.fit, FittedDensity)}
    if not fits:
        return None
    sizes = [one.fit.density.num_parameters for one in fits.values() if isinstance(one.fit, FittedDensity)]
    values = {
        "seconds": [one.seconds for one in fits.values()],
        "numbers": [math.nan if size is None else size for size in sizes],
        "num_codes": [len(one) for one in fits.values()],
    }
    columns = {name: (("density",), torch.tensor(column, dtype=torch.float64)) for name, column in values.items()}
    return Records(columns, {"density": list(fits)})
