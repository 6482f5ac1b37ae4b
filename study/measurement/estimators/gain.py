"""Gain of the decoder: how far images move along the mean of the codes and elsewhere, and whether along the axes most.

All displacements are as long as the mean m of the training codes: m itself, the eigenvectors of their covariance whose
eigenvalues are the furthest from 1 (in ratio), and random directions. Draws are of q_N, or of the prior.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.gain import squared_gain, squared_step
from analysis.geometry.spectrum import furthest_eigenvectors
from analysis.orthogonality import off_axes
from study.measurement.encoding import decode
from study.measurement.estimators import DECODER, Quantity, Refused, estimator
from study.measurement.replicate import Split

DRAWS = 500
ALIGNED, PROBES = 100, 8
"""Draws at which the Jacobian is compared with the axes, and axes and random directions of each."""
PRINCIPAL = 8
"""Eigenvectors, each draw along one of them."""


def _quantities(direction: str, along: str) -> tuple[Quantity, ...]:
    limits = "squared pixel values, summed over the image; ‖δ‖ = ‖m‖"
    return (
        Quantity(f"gain_{direction}", f"E‖J(z) δ‖², z ~ q_N, δ {along}", limits=limits),
        Quantity(f"gain_{direction}_step", f"E‖g(z + δ) − g(z)‖², z ~ q_N, δ {along}", limits=limits),
        Quantity(f"gain_{direction}_at_prior", f"E‖J(z) δ‖², z ~ p, δ {along}", limits=limits),
    )


@estimator(
    Quantity("mean_norm", "‖m‖, m the mean of the codes", "exact", limits="of q_N"),
    *_quantities("mean", "the mean of the codes"),
    rows=("train",),
    needs=(DECODER,),
)
def along_mean(split: Split) -> dict[str, Estimate]:
    mean = _mean(split)
    found = _gains(split, "mean", mean.expand(DRAWS, -1))
    return {"mean_norm": Estimate.exact(float(mean.norm()), len(split)), **found}


@estimator(*_quantities("random", "in a random direction, another for each draw"), rows=("train",), needs=(DECODER,))
def along_random(split: Split) -> dict[str, Estimate]:
    mean, generator = _mean(split), split.replicate.stream("directions of gain")
    noise = torch.randn(DRAWS, len(mean), dtype=mean.dtype, generator=generator, device=generator.device)
    directions = noise.to(mean.device) / noise.norm(dim=1, keepdim=True).to(mean.device)
    return _gains(split, "random", directions * mean.norm())


@estimator(
    *_quantities("principal", "along an eigenvector of the covariance of the codes"), rows=("train",), needs=(DECODER,)
)
def along_principal(split: Split) -> dict[str, Estimate]:
    mean = _mean(split)
    try:
        vectors = furthest_eigenvectors(split.aggregate, min(PRINCIPAL, len(mean)))
    except ValueError as error:
        raise Refused(str(error)) from error
    chosen = torch.arange(DRAWS, device=vectors.device) % vectors.shape[1]
    return _gains(split, "principal", vectors[:, chosen].T * mean.norm())


@estimator(
    Quantity(
        "off_axes",
        "1 − E Σ_d (JᵀJ)²_dd / E‖JᵀJ‖²_F, z ~ q_N",
        "consistent",
        limits="0 where the columns of J are orthogonal: compare `off_axes_rotated`",
    ),
    Quantity(
        "off_axes_rotated",
        "the same in expectation after a random rotation of the latent",
        "consistent",
        limits="what a Jacobian of the same singular values would have without any alignment",
    ),
    rows=("train",),
    needs=(DECODER,),
)
def alignment(split: Split) -> dict[str, Estimate]:
    z = split.z[:ALIGNED]
    if len(z) < 2:
        raise Refused("needs two draws or more", n=len(z))

    def decoder(latents: Tensor) -> Tensor:
        return decode(split.replicate.vae, latents)

    with _differentiable():
        return off_axes(decoder, z, probes=PROBES, generator=split.replicate.stream("alignment"))


@contextmanager
def _differentiable() -> Iterator[None]:
    """Refuses where an operation of the decoder, which may be anybody's, has no derivative of this kind in torch."""
    try:
        yield
    except NotImplementedError as error:
        raise Refused("an operation of the decoder has no derivative in forward mode") from error


def _mean(split: Split) -> Tensor:
    try:
        return split.aggregate.mean
    except ValueError as error:
        raise Refused(str(error)) from error


def _gains(split: Split, name: str, directions: Tensor) -> dict[str, Estimate]:
    """Gains at the first draws of both laws, each along its own direction of ``directions`` ``(DRAWS, D)``."""
    z, prior_z = split.z[:DRAWS], split.replicate.prior_z[:DRAWS]
    unit = split.component[: len(z)]

    def decoder(latents: Tensor) -> Tensor:
        return decode(split.replicate.vae, latents)

    own, prior = (directions[: len(draws)].to(draws).reshape_as(draws) for draws in (z, prior_z))
    with _differentiable():
        return {
            f"gain_{name}": Estimate.mean(squared_gain(decoder, z, own), groups=unit),
            f"gain_{name}_step": Estimate.mean(squared_step(decoder, z, own), groups=unit),
            f"gain_{name}_at_prior": Estimate.mean(squared_gain(decoder, prior_z, prior)),
        }
