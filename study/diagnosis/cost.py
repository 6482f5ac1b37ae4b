"""Cost: how long the passes over all codes will take, from the speed of a small one."""

from __future__ import annotations

import math
import time

import torch

from analysis.pairwise import mixture_log_density
from analysis.randomness import stream
from study.measurement.replicate import Replicate

PROBE_POINTS, PROBE_CODES, PROBE_DIM = 256, 4_096, 64

PASSES = 6
"""Evaluations of M draws under all N components: of both splits, of the prior, and of held-out draws."""


def seconds(replicate: Replicate) -> float:
    """Seconds that these passes take on this computer, on the CPU in single precision.

    Args:
        replicate: what is to be measured.
    """
    generator = stream(0, "speed of a pass")
    points = torch.randn(PROBE_POINTS, PROBE_DIM, generator=generator)
    loc = torch.randn(PROBE_CODES, PROBE_DIM, generator=generator)
    scale = torch.full_like(loc, 0.5)
    mixture_log_density(points[:8], [(loc, scale)], None)  # compiles
    began = time.perf_counter()
    mixture_log_density(points, [(loc, scale)], None)
    speed = PROBE_POINTS * PROBE_CODES * PROBE_DIM / (time.perf_counter() - began)
    draws, dim = replicate.evaluate.draws, math.prod(replicate.vae.prior.latent_shape)
    return PASSES * draws * (len(replicate.train) + len(replicate.held_out)) * dim / speed


def announced(replicate: Replicate) -> str:
    """A line that says what is to be done and how long it may take."""
    num, others, dim = len(replicate.train), len(replicate.held_out), math.prod(replicate.vae.prior.latent_shape)
    return (
        f"N = {num:,}, D = {dim:,}, {others:,} held out; {replicate.evaluate.draws:,} draws under all N components, "
        f"about {seconds(replicate):,.0f} s, and the rest of the estimates about as long again"
    )
