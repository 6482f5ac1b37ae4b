"""Where is the mismatch: in means, variances, correlations or beyond; in which dimensions, channels or observations?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.estimate import Estimate
from study.diagnosis.evidence import Evidence
from study.diagnosis.questions._finding import Finding
from study.diagnosis.questions.mismatch import share

QUESTION = "Where is it?"
WORST = 10

_PARTS = (
    ("kl_mean", "in the means of single dimensions, nats"),
    ("kl_variances", "in the variances of single dimensions, nats"),
    ("kl_correlations", "in correlations between dimensions, nats"),
    ("kl_residual", "beyond the first two moments, nats, of these observations"),
)


def findings(evidence: Evidence) -> list[Finding]:
    """Parts of KL(q_N ‖ p), the worst dimensions and channels, norms, and outlying observations."""
    lines = []
    for name, text in _PARTS:
        part = evidence(f"aggregate/train/{name}")
        if part is not None:
            lines.append(Finding(text, part, share(evidence, part.value)))
    for name, text in (("kl_residual_lower", "at least"), ("kl_residual_upper", "at most")):
        if (end := evidence(f"aggregate/held_out/{name}")) is not None:
            lines.append(Finding(f"beyond the first two moments, of all data, {text}, nats", end))
    return [*lines, *_dimensions(evidence), *_norms(evidence), *_outliers(evidence)]


def _dimensions(evidence: Evidence) -> list[Finding]:
    mean, variance = evidence.record("dimensions", "kl_mean"), evidence.record("dimensions", "kl_variance")
    if mean is None or variance is None:
        return []
    shape = evidence.latent_shape
    nats = mean + variance
    lines = [_worst("dimensions", nats, mean, shape)]
    if len(shape) > 1:
        channels = [values.reshape(shape[0], -1).sum(1) for values in (nats, mean)]
        lines.append(_worst("channels", channels[0], channels[1], (shape[0],)))
        places = nats.reshape(shape[0], -1).sum(0)
        spread = {"channels": channels[0], "places": places}
        ratios = ", ".join(f"{name} {values.max() / max(values.mean(), 1e-300):.1f}" for name, values in spread.items())
        lines.append(Finding("largest over mean nats, among", None, ratios))
    return lines


def _worst(kind: str, nats: npt.NDArray[Any], mean: npt.NDArray[Any], shape: tuple[int, ...]) -> Finding:
    order = np.argsort(-nats)[:WORST]
    named = []
    for d in order:
        place = ".".join(map(str, np.unravel_index(d, shape)))
        named.append(f"{place} ({nats[d]:.3g}, of these {mean[d] / max(nats[d], 1e-300):.0%} mean)")
    return Finding(f"worst {kind}, nats in mean and variance", None, ", ".join(named))


def _norms(evidence: Evidence) -> list[Finding]:
    lines = []
    for name, text, remark in (
        ("mean_square", "E‖z‖²/D of codes", "1 under N(0, I)"),
        ("norm_sd", "standard deviation of ‖z‖ of codes", ""),
        ("norm_auc", "AUC of ‖z‖, codes against prior draws", "0.5: norms tell nothing"),
    ):
        if (estimate := evidence(f"aggregate/train/{name}")) is not None:
            lines.append(Finding(text, estimate, remark))
    return lines


def _outliers(evidence: Evidence) -> list[Finding]:
    rows, rates = evidence.record("outliers", "row"), evidence.record("outliers", "rate")
    if rows is None or rates is None:
        return []
    rate = evidence("aggregate/train/rate")
    named = ", ".join(f"{int(row)} ({nats:.4g})" for row, nats in zip(rows, rates, strict=True))
    mean = Estimate.exact(rate.value, rate.n) if rate else None
    return [Finding("observations that cost the most, nats, where the mean is", mean, named)]
