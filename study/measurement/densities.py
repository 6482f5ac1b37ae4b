"""Ex-post densities of the codes: nats certified against the prior, and the densities themselves for sampling."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.density_fits import DensityRefused, FittedDensity
from analysis.divergence import certified_gap
from analysis.estimate import Estimate
from analysis.precision import log_prob_float64
from study.design.parts import Part
from study.measurement.replicate import Replicate


def fitted(
    replicate: Replicate, parts: Sequence[Part]
) -> tuple[dict[str, FittedDensity], dict[str, dict[str, Estimate]]]:
    """The densities that could be fitted, and of each name its held-out score and the nats it certifies.

    The certified gap E_q[log r − log p] ≤ KL(q ‖ p) is paired by image, over images that nothing was chosen by.
    """
    densities: dict[str, FittedDensity] = {}
    estimates: dict[str, dict[str, Estimate]] = {}
    for part in parts:
        name = part.label
        try:
            fit = part.create().fit(replicate.train.codes, replicate.held_out.codes, replicate.stream("densities"))
        except DensityRefused as reason:
            refusal = Estimate.refused(str(reason), len(replicate.train.codes))
            estimates[name] = {"held_out_score": refusal, "certified_gap": refusal}
            continue
        densities[name] = fit
        log_prior = log_prob_float64(replicate.prior, replicate.held_out.codes.z[fit.held_out_images])
        gap = certified_gap(fit.log_held_out, log_prior)
        estimates[name] = {"held_out_score": fit.held_out_score, "certified_gap": gap.flagged(*fit.density.flags)} | {
            f"chosen_{option}": Estimate.exact(float(chosen), len(replicate.train.codes))
            for option, chosen in fit.choices.items()
        }
    return densities, estimates
