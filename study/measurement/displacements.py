r"""Displacements: codes moved along chosen directions, what the images lose by it, and what could foretell the loss.

Draws z of the training aggregate, one an image, are displaced by δ: along the mean m of the codes and against it, along
its numbers permuted, along eigenvectors of the covariance C at both ends of its spectrum, and in random directions;
each so far that ½‖δ‖² takes the values LEVELS. Of each displacement

    lost = F(g(z + δ)) − F(g(z)),    gain = E‖J(z) δ‖²,    step = E‖g(z + δ) − g(z)‖²,    nats = ½ δᵀ C⁻¹ δ,

F the squared Fréchet distance to held-out images, g(z) the mean of p(x|z) and J its Jacobian. The nats are those of
KL(N(m + δ, C) ‖ N(m, C)), between displaced codes and those that the decoder was trained on.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.gain import squared_gain, squared_step
from analysis.realism.frechet import FeatureMoments, squared_frechet
from study.measurement.encoding import decode
from study.measurement.samples import Reference

LEVELS = (4.0, 16.0, 64.0)
"""½‖δ‖², which at unit variances is the nats of a displacement."""


@dataclass(frozen=True, slots=True)
class Displaced:
    """Measurements of each displacement.

    columns: numbers by name: lost, gain, step, nats, and ‖δ‖² as ``squared_norm``.
    directions: that of each, in words.
    """

    columns: dict[str, list[float]]
    directions: list[str]


def displaced(reference: Reference, count: int) -> Displaced | None:
    """Every displacement of the training draws that sources start from.

    Args:
        reference: the model, its draws, and the real images to compare with.
        count: number of directions of each kind that has several.

    None where ``count`` is 0, or eigenvectors of the covariance are not to be had.
    """
    start, replicate = reference.start, reference.replicate
    if not count or start.mean is None or start.eigenvectors is None:
        return None
    values, vectors = start.eigenvectors
    columns, names = defaultdict[str, list[float]](list), list[str]()

    def decoder(latents: Tensor) -> Tensor:
        return decode(start.vae, latents)

    def distance(images: Tensor) -> float:
        # Of equal n and nearly equal laws: what the plug-in is too high by cancels in the difference.
        features = FeatureMoments(reference.space.features(images))
        return squared_frechet(features, reference.moments).plug_in.value

    still = distance(decoder(start.train))
    for name, direction in _directions(start.mean, vectors, count, replicate.stream("displacements")):
        replicate.heartbeat()
        unit = direction / direction.norm()
        unit_gain = float(squared_gain(decoder, start.train, start.shaped(unit)).mean())
        unit_nats = float(((unit @ vectors).square() / values).sum()) / 2
        for level in LEVELS:
            step = start.shaped(unit * math.sqrt(2 * level))
            columns["lost"].append(distance(decoder(start.train + step)) - still)
            columns["gain"].append(unit_gain * 2 * level)
            columns["step"].append(float(squared_step(decoder, start.train, step).mean()))
            columns["nats"].append(unit_nats * 2 * level)
            columns["squared_norm"].append(2 * level)
            names.append(name)
    return Displaced(dict(columns), names)


def _directions(mean: Tensor, vectors: Tensor, count: int, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
    """Kinds of direction with vectors ``(D,)``: of the mean ``(D,)`` and of eigenvectors ``(D, D)``, columns."""
    dim = len(mean)
    yield "mean", mean
    yield "mean negated", -mean
    for _ in range(count):
        order = torch.randperm(dim, generator=generator, device=generator.device)
        yield "mean permuted", mean[order.to(mean.device)]
    for index in range(min(count, dim // 2)):
        yield "largest eigenvalue", vectors[:, index]
        yield "smallest eigenvalue", vectors[:, -1 - index]
    for _ in range(count):
        noise = torch.randn(dim, generator=generator, device=generator.device, dtype=mean.dtype)
        yield "random", noise.to(mean.device)
