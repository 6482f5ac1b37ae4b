"""Geometry of codes and draws: shells, overlap, units, spectrum, coverage, margins, intrinsic dimension."""

from __future__ import annotations

import torch

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


def estimates(replicate: Replicate, split: Split) -> dict[str, Estimate]:
    """Geometry of one split; norms are those of z, distances in latent units."""
    loc, scale = split.codes.loc, split.codes.scale
    few, few_scale, prior_z = loc[:NEIGHBOURS], scale[:NEIGHBOURS], replicate.prior_z[:NEIGHBOURS]
    norms = shell(split.z, split.component)
    return {
        "mean_square": norms.mean_square,
        "norm_mean": norms.norm_mean,
        "norm_sd": norms.norm_sd,
        "norm_auc": norm_auc(split.z, replicate.prior_z, split.component),
        "norm_ks": norm_ks(split.z, replicate.prior_z, split.component),
        "squared_norm_ks": squared_norm_ks(split.z, split.component),
        "typical_set_mass": typical_set_mass(split.from_prior.log_prior, split.draws.log_prior, split.component),
        "aggregate_typical_set_mass": typical_set_mass(split.draws.log_aggregate, split.from_prior.log_aggregate),
        "active_units": active_units(loc),
        "active_units_by_kl": active_units_by_kl(loc, scale),
        "unit_ball_tv": Estimate.mean(unit_total_variation(loc)),
        "bubble_bhattacharyya": Estimate.mean(log_bhattacharyya(loc, scale).exp()),
        "ball_coverage": ball_coverage(prior_z, few, few_scale),
        "ratio_coverage": ratio_coverage(prior_z, few, few_scale),
        "nearest_centre": Estimate.mean(nearest_centre_distance(prior_z, few)),
        "nearest_margin": Estimate.mean(nearest_margins(few)),
        "intrinsic_dimension": two_nn(split.codes.z[:NEIGHBOURS]),
        **_spectrum(split),
    }


def _spectrum(split: Split) -> dict[str, Estimate]:
    num = len(split.images)
    try:
        eigenvalues = aggregate_spectrum(split.aggregate)
    except ValueError as error:
        refusal = Estimate.refused(str(error), num)
        return {"effective_rank": refusal, "participation_ratio": refusal, "largest_eigenvalue": refusal}
    return {
        "effective_rank": effective_rank(eigenvalues, num),
        "participation_ratio": participation_ratio(eigenvalues, num),
        "largest_eigenvalue": Estimate.exact(float(torch.max(eigenvalues)), num),
    }
