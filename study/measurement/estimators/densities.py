"""Densities fitted to codes: their score on held-out images, and the nats that they certify against the prior.

Scores and gaps rest on held-out images that neither a density's parameters nor its size were chosen by. On a sphere
they are refused: the fitted densities are per volume of the space around it, and posterior and prior per surface.
"""

from __future__ import annotations

from analysis.density_fits import DensityRefused, FittedDensity
from analysis.divergence import certified_gap as gap
from analysis.estimate import Estimate
from analysis.precision import log_prob_float64
from study.measurement.densities import Fitted
from study.measurement.estimators import Quantity, Refused, estimator
from study.measurement.estimators._needs import REAL_LATENTS


def _fit(fitted: Fitted) -> FittedDensity:
    if isinstance(fitted.fit, DensityRefused):
        raise Refused(str(fitted.fit))
    return fitted.fit


@estimator(
    Quantity(
        "held_out_score",
        "E log r(z) over held-out codes that nothing was chosen by",
        bias="unbiased; a lower end where r has no closed form",
        limits="up to an unknown entropy: compare densities at one model",
    ),
    table="densities",
    needs=(REAL_LATENTS,),
)
def held_out_score(fitted: Fitted) -> Estimate:
    return _fit(fitted).held_out_score


@estimator(
    Quantity(
        "certified_gap",
        "E[log r(z) − log p(z)] on the same codes",
        "lower",
        "lower end of KL(q ‖ p), for any r",
        "the ELBO that swapping p for r gains, networks frozen",
        of_prior=True,
    ),
    table="densities",
    needs=(REAL_LATENTS,),
)
def certified_gap(fitted: Fitted) -> Estimate:
    fit, replicate = _fit(fitted), fitted.replicate
    log_prior = log_prob_float64(replicate.prior, replicate.held_out.codes.z[fit.held_out_images])
    return gap(fit.log_held_out, log_prior).flagged(*fit.density.flags)


@estimator(
    Quantity(
        "chosen_<option>",
        "what the fit chose by other held-out codes",
        "exact",
        limits="flagged where it is the largest that was tried",
    ),
    table="densities",
)
def choices(fitted: Fitted) -> dict[str, Estimate]:
    chosen = _fit(fitted).choices
    return {f"chosen_{option}": Estimate.exact(float(value), len(fitted)) for option, value in chosen.items()}
