"""Is there a mismatch between the codes and the prior, and how sure is that?"""

from __future__ import annotations

from study.diagnosis.evidence import Evidence
from study.diagnosis.questions._finding import Finding

QUESTION = "Is there a mismatch?"

_LINES = (
    ("aggregate/train/rate", "rate R, nats that a code costs under the prior", ""),
    ("aggregate/train/information", "information I_N of the code on its observation, nats", "at most log N"),
    ("aggregate/train/log_n", "log N, nats", ""),
    ("aggregate/train/kl", "KL(q_N ‖ p), nats, of these observations", ""),
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
            lines.append(Finding(text, estimate, remark))
    return [*_verdict(evidence), *lines]


def certified(evidence: Evidence) -> bool:
    """Whether some lower end of KL(q_∞ ‖ p) lies above 0, at 95 % over all that are looked at (Bonferroni)."""
    names = ("kl_certified_aggregate", "certified_by_moments", "certified_by_mean_variances")
    ends = [evidence(f"aggregate/held_out/{name}") for name in names]
    ends += [gap for _, gap in evidence.ranking()]
    there = [end for end in ends if end is not None and not end.is_refused and end.standard_error > 0]
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
