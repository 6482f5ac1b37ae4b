"""Is there a mismatch between the codes and the prior, and how sure is that?"""

from __future__ import annotations

import math

from analysis.estimate import Estimate
from study.diagnosis.evidence import Evidence
from study.diagnosis.questions._finding import Finding

QUESTION = "Is there a mismatch?"
KL = "aggregate/train/kl"

LEAST = 0.01
"""Share of KL(q_N ‖ p) below which it is not said that so much may be due to N being finite."""

_LINES = (
    ("aggregate/train/rate", "rate R, nats that a code costs under the prior", ""),
    ("aggregate/train/information", "information I_N of the code on its observation, nats", "at most log N"),
    ("aggregate/train/log_n", "log N, nats", ""),
    (KL, "KL(q_N ‖ p), nats, of these observations", ""),
    ("aggregate/train/kl_lower", "KL(q_∞ ‖ p), nats, lower end by leaving one out", ""),
    ("aggregate/train/kl_upper", "KL(q_∞ ‖ p), nats, upper end", ""),
    ("aggregate/held_out/kl_certified_aggregate", "certified by held-out codes under q_N, nats", ""),
    (
        "aggregate/held_out/certified_by_moments",
        "certified by held-out codes under the normal of its moments, nats",
        "",
    ),
    ("aggregate/train/log_ratio_auc", "AUC of the best test of codes against prior draws", "0.5: none can tell"),
    ("aggregate/train/active_units", "dimensions whose means vary (variance above 0.01)", ""),
    ("aggregate/train/active_units_by_kl", "dimensions that cost more than 0.01 nats", ""),
)


def findings(evidence: Evidence) -> list[Finding]:
    """What follows, and the lines with the numbers from which it does."""
    lines = []
    for address, text, remark in _LINES:
        estimate = evidence(address)
        if estimate is not None:
            lines.append(Finding(text, estimate, due_to_finite_n(evidence) if address == KL else remark))
    return [*_verdict(evidence), *lines]


def share(evidence: Evidence, nats: float) -> str:
    """What share of KL(q_N ‖ p) some nats are, and what of it may be due to N being finite; empty where it is none.

    Args:
        evidence: of the diagnosis.
        nats: the part.
    """
    total = evidence.number(KL)
    if not (total > 0 and math.isfinite(nats)):
        return ""
    caution = due_to_finite_n(evidence)
    return f"{nats / total:.0%} of KL(q_N ‖ p){f', {caution}' if caution else ''}"


def due_to_finite_n(evidence: Evidence) -> str:
    """A clause on what of KL(q_N ‖ p) may be due to N being finite: all that no lower end of KL(q_∞ ‖ p) shows; empty
    where that is next to nothing."""
    total, left_out = evidence.number(KL), evidence("aggregate/train/kl_lower")
    ends = [end.value for end in [*_lower_ends(evidence), left_out] if end is not None and end.value > 0]
    most = 1 - max(ends, default=0.0) / total if total > 0 else 0.0
    return f"of which up to {most:.0%} may be due to N being finite" if most >= LEAST else ""


def _lower_ends(evidence: Evidence) -> list[Estimate]:
    """What held-out codes show of KL(q_∞ ‖ p) at least."""
    names = ("kl_certified_aggregate", "certified_by_moments", "certified_by_mean_variances")
    ends = [evidence(f"aggregate/held_out/{name}") for name in names]
    ends += [gap for _, gap in evidence.ranking()]
    return [end for end in ends if end is not None and not end.is_refused]


def certified(evidence: Evidence) -> bool:
    """Whether some lower end of KL(q_∞ ‖ p) lies above 0, at 95 % over all that are looked at (Bonferroni)."""
    there = [end for end in _lower_ends(evidence) if end.standard_error > 0]
    level = 1 - 0.05 * 2 / max(len(there), 1)
    return any(end.interval(level).lower > 0 for end in there)


def _verdict(evidence: Evidence) -> list[Finding]:
    rate, dim = evidence.number("aggregate/train/rate"), evidence("aggregate/train/active_units_by_kl")
    collapsed = dim is not None and dim.value == 0 and rate < 0.5
    if certified(evidence):
        verdict = "yes: held-out codes certify that the aggregate is not the prior"
    elif evidence.interrupted:
        verdict = "not decided: the diagnosis was interrupted before all was measured that could certify one"
    else:
        verdict = "held-out codes certify none at 95 %"
    lines = [Finding(verdict)]
    if collapsed:
        lines.append(Finding("posterior collapse: no dimension carries information"))
    return lines
