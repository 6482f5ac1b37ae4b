"""Geometry of codes and draws: shells, overlap, units, spectrum, coverage, margins, intrinsic dimension."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from analysis.aggregate import NOT_DIAGONAL
from analysis.estimate import Estimate
from analysis.geometry.active_units import active_units, active_units_by_kl
from analysis.geometry.coverage import ball_coverage, nearest_centre_distance, ratio_coverage
from analysis.geometry.intrinsic_dimension import two_nn
from analysis.geometry.margins import nearest_margins
from analysis.geometry.overlap import log_bhattacharyya, unit_total_variation
from analysis.geometry.shells import norm_auc, norm_ks, shell, squared_norm_ks, typical_set_mass
from analysis.geometry.spectrum import aggregate_spectrum, effective_rank, participation_ratio
from study.measurement.replicate import Replicate, Split

NEIGHBOURS = 2_000
"""Images and prior draws among which neighbours are sought."""


def estimates(replicate: Replicate, split: Split, eigenvalues: Tensor | Estimate) -> dict[str, Estimate]:
    """Geometry of one split, with its :func:`spectrum`; norms are those of z, distances in latent units."""
    loc, scale = split.codes.loc, split.codes.scale
    few, prior_z = loc[:NEIGHBOURS], replicate.prior_z[:NEIGHBOURS]
    norms = shell(split.z, split.component)
    mean_square = Estimate.mean(loc.square().flatten(1).mean(1))
    rms = math.sqrt(mean_square.value)
    return {
        "mean_square": norms.mean_square,
        "rms_loc": Estimate(
            rms, mean_square.standard_error / (2 * rms) if rms else 0.0, len(loc), len(loc), "consistent"
        ),
        "mean_scale": Estimate.mean(scale.flatten(1).mean(1)),
        "scale_sd": Estimate.mean(scale.flatten(1).std(1, correction=0)),
        "norm_mean": norms.norm_mean,
        "norm_sd": norms.norm_sd,
        "norm_auc": norm_auc(split.z, replicate.prior_z, split.component),
        "norm_ks": norm_ks(split.z, replicate.prior_z, split.component),
        "squared_norm_ks": squared_norm_ks(split.z, split.component),
        "typical_set_mass": typical_set_mass(split.from_prior.log_prior, split.draws.log_prior, split.component),
        "aggregate_typical_set_mass": typical_set_mass(split.draws.log_aggregate, split.from_prior.log_aggregate),
        "active_units": active_units(loc),
        "unit_ball_tv": Estimate.mean(unit_total_variation(loc)),
        "nearest_centre": Estimate.mean(nearest_centre_distance(prior_z, few)),
        "nearest_margin": Estimate.mean(nearest_margins(few)),
        "intrinsic_dimension": two_nn(split.codes.z[:NEIGHBOURS]),
        **_bubbles(split, prior_z),
        **_spectral(eigenvalues, split.aggregate.num_components),
    }


def _bubbles(split: Split, prior_z: Tensor) -> dict[str, Estimate]:
    """What has a formula for bubbles N(μ, diag σ²) alone."""
    loc, scale = split.codes.loc, split.codes.scale
    few, few_scale = loc[:NEIGHBOURS], scale[:NEIGHBOURS]
    if not split.aggregate.is_diagonal:
        refusal = Estimate.refused(NOT_DIAGONAL, len(loc))
        return dict.fromkeys(("active_units_by_kl", "bubble_bhattacharyya", "ball_coverage", "ratio_coverage"), refusal)
    return {
        "active_units_by_kl": active_units_by_kl(loc, scale),
        "bubble_bhattacharyya": Estimate.mean(log_bhattacharyya(loc, scale).exp()),
        "ball_coverage": ball_coverage(prior_z, few, few_scale),
        "ratio_coverage": ratio_coverage(prior_z, few, few_scale),
    }


def spectrum(split: Split) -> Tensor | Estimate:
    """Eigenvalues ``(D,)`` of the exact covariance of the aggregate, descending, or the reason why not."""
    try:
        return aggregate_spectrum(split.aggregate)
    except ValueError as error:
        return Estimate.refused(str(error), split.aggregate.num_components)


def _spectral(eigenvalues: Tensor | Estimate, num: int) -> dict[str, Estimate]:
    if isinstance(eigenvalues, Estimate):
        return dict.fromkeys(("effective_rank", "participation_ratio", "largest_eigenvalue"), eigenvalues)
    return {
        "effective_rank": effective_rank(eigenvalues, num),
        "participation_ratio": participation_ratio(eigenvalues, num),
        "largest_eigenvalue": Estimate.exact(float(torch.max(eigenvalues)), num),
    }
