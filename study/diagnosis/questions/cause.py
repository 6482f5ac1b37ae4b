"""What probably caused it? Hints, each with the evidence that speaks for it, and never a fact."""

from __future__ import annotations

import math

from analysis.estimate import Estimate
from study.diagnosis.evidence import Evidence
from study.diagnosis.questions._finding import Finding
from study.diagnosis.questions.mismatch import KL, certified, share

QUESTION = "What probably caused it? (hints, not facts)"

FEW_USED = 0.5
"""Share of dimensions in use below which the latent is called larger than what is used."""


def findings(evidence: Evidence) -> list[Finding]:
    """Hints with their evidence."""
    return [*_weight(evidence), *_slack(evidence), *_unused(evidence)]


def _weight(evidence: Evidence) -> list[Finding]:
    given = evidence.record("weight", "value")
    if given is None:
        return []
    value, error = float(given), float(evidence.record("weight", "standard_error"))  # type: ignore[arg-type]
    if not math.isfinite(value) or value <= 0:
        return []
    weight = Estimate(value, error, 1, 1, "consistent", ("a local approximation",))
    lines = [Finding("β s², weight of the KL against half the squared error, from gains and posterior widths", weight)]
    error_of_pixel = evidence.number("aggregate/held_out/reconstruction_error")
    if error_of_pixel > 0:
        lines.append(
            Finding(
                f"effective β where s² is the squared error of a pixel: {value / error_of_pixel:.3g}",
                None,
                "1: the ELBO of a fitted Gaussian likelihood; above, the KL weighs more",
            )
        )
    pixels, dim = int(evidence.details["num_pixels"]), int(evidence.details["latent_dim"])
    reductions = {
        "both terms summed": 0.5,
        "error averaged over pixels, KL summed": pixels / 2,
        "error summed, KL averaged over dimensions": 0.5 / dim,
        "both averaged": pixels / 2 / dim,
    }
    implied = ", ".join(f"{name}: {value / at_one:.3g}" for name, at_one in reductions.items())
    lines.append(
        Finding(
            f"β in a loss of squared error + β KL that would explain it: {implied}",
            None,
            "compare with β and the reductions in the training code; one far from what was meant is an averaged term; "
            "a cross-entropy weighs pixels otherwise than a squared error, by a factor of some units",
        )
    )
    return lines


def _slack(evidence: Evidence) -> list[Finding]:
    total = evidence.number(KL)
    slack = evidence.number("aggregate/train/kl_mean") + evidence.number("aggregate/train/kl_variances")
    if not (certified(evidence) and total > 0 and slack / total > FEW_USED):
        return []
    return [
        Finding(
            "short training, or a KL that weighs little: mean and variance of single dimensions are "
            f"{share(evidence, slack)}",
            None,
            "a later checkpoint would tell: diagnose both, and compare kl_mean and kl_variances",
        )
    ]


def _unused(evidence: Evidence) -> list[Finding]:
    dim, used = int(evidence.details["latent_dim"]), evidence.number("aggregate/train/active_units_by_kl")
    if not used < FEW_USED * dim:
        return []
    return [Finding(f"the latent is larger than what is used: {used:.0f} of {dim} dimensions cost more than 0.01 nats")]
