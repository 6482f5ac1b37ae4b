r"""Orthogonality of a decoder's Jacobian: whether its principal directions are the axes of the latent.

A diagonal posterior under a standard normal prior prefers a Jacobian J with orthogonal columns, that is a diagonal JᵀJ
(Rolínek et al. 2019, arXiv:1812.06775). How far JᵀJ is from that, as a share of its squared Frobenius norm,

    off axes = min over diagonal Δ of ‖JᵀJ − Δ‖² / ‖JᵀJ‖² = 1 − Σ_d (JᵀJ)²_dd / ‖JᵀJ‖²,

is 0 for orthogonal columns. After a random rotation of the latent the expectation of Σ_d (JᵀJ)²_dd is
[(tr JᵀJ)² + 2‖JᵀJ‖²]/(D + 2), so that ``rotated``, the same share with that in its place, is what no alignment at all
would give for a Jacobian of the same singular values. (Rolínek et al. compare the right singular vectors of J with a
signed permutation; where singular values are equal, or zero, those are not defined, and at large D they are not to be
had.)

No Jacobian is held. With forward-mode products along axes e_d and independent normal u, v,

    Σ_d (JᵀJ)²_dd = D E‖J e_d‖⁴,    ‖JᵀJ‖² = E(Ju · Jv)²,    (tr JᵀJ)² = E‖Ju‖² ‖Jv‖²,

each without bias; shares are ratios of means over latents, with the standard error of ratio estimators.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from analysis.estimate import Estimate
from analysis.gain import Decoder, moved_along


def off_axes(decoder: Decoder, z: Tensor, *, probes: int, generator: Generator) -> dict[str, Estimate]:
    """``off_axes`` and ``off_axes_rotated`` at latents.

    Args:
        decoder: g, whose Jacobian at z is J.
        z: latents ``(M, *latent_shape)``, M ≥ 2.
        probes: axes, and random directions, of each latent; at least 2. The axes of all latents together are as many
            of the D as there are, each as often.
        generator: of axes and directions.
    """
    num, dim = len(z), z[0].numel()
    axes = _axes(num * probes, dim, generator).view(num, probes)
    units = torch.stack([_unit(z, axes[:, k]) for k in range(probes)])
    normals = torch.stack([_normal(z, generator) for _ in range(probes)])
    along_axes, along_normals = moved_along(decoder, z, torch.cat([units, normals])).flatten(2).split(probes)
    fourth = along_axes.square().sum(2).square().mean(0)
    images = along_normals.transpose(0, 1)
    gram = images @ images.mT
    diagonal = gram.diagonal(dim1=1, dim2=2)
    pairs = probes * (probes - 1)
    squared_norm = (gram.square().sum((1, 2)) - diagonal.square().sum(1)) / pairs
    squared_trace = (diagonal.sum(1).square() - diagonal.square().sum(1)) / pairs
    return {
        "off_axes": _complement(dim * fourth, squared_norm),
        "off_axes_rotated": _complement((squared_trace + 2 * squared_norm) / (dim + 2), squared_norm),
    }


def _complement(part: Tensor, whole: Tensor) -> Estimate:
    """1 − E part / E whole, of values ``(M,)`` at each latent; the error is that of a ratio (Cochran 1977, §2.11)."""
    if not bool(whole.mean() > 0):
        return Estimate.refused("the decoder moves nowhere with its latent", len(part))
    num, ratio = len(part), part.mean() / whole.mean()
    deviations = (part - ratio * whole) / whole.mean()
    error = math.sqrt(float(deviations.square().sum()) / (num * (num - 1)))
    return Estimate(1 - float(ratio), error, num, num, "consistent")


def _axes(num: int, dim: int, generator: Generator) -> Tensor:
    """``num`` axes, int64, each of the ``dim`` as often as any other up to one, in random order."""
    rounds = [torch.randperm(dim, generator=generator, device=generator.device) for _ in range(math.ceil(num / dim))]
    return torch.cat(rounds)[:num]


def _unit(z: Tensor, axis: Tensor) -> Tensor:
    """e_d of each latent for its own ``axis`` ``(M,)``."""
    return torch.nn.functional.one_hot(axis.to(z.device), z[0].numel()).to(z).reshape_as(z)


def _normal(z: Tensor, generator: Generator) -> Tensor:
    return torch.randn(z.shape, generator=generator, dtype=z.dtype, device=generator.device).to(z.device)
