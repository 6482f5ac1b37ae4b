r"""H18: small mismatches of single dimensions add up.

With G the diagonal Gaussian of the exact means and variances of q_N, KL(G ‖ p) is what mismatches of mean and variance,
dimension by dimension, come to in sum, and KL(q_N ‖ p) = KL(q_N ‖ G) + KL(G ‖ p). Harmless in each of many dimensions,
they are a large mismatch together, and longer training removes them.

Rule, before any run: per replicate with the standard prior, (i) at the largest D of each family, both lengths together,
KL(G ‖ p) is more than half of KL(q_N ‖ p) (ratio of means, Fieller's interval); (ii) the slope of log KL(q_N ‖ p) in
log D at the shortest training is above 0.5 (1: proportional to D); (iii) at the largest D, KL(q_N ‖ p) after the
longest training is less than 0.9 of that after the shortest (log2 ratio below −0.15). Supported if all three hold,
refuted if one fails; undecided with one training length.

Amendments of 2026-11-26: families count in which every KL(q_N ‖ p) is four standard errors above 0. Growth with D and
cure by training that are there, and less than the least that counts, make the claim not supported; none, or the
opposite, refutes it.
"""

from __future__ import annotations

import math
from typing import final, override

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import above_noise, at_two_lengths, dims, largest_dim, scope, shortest
from study.answers.hypotheses._intervals import by_replicate, mean_of, slope
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

HALF, LEAST_SLOPE, MOST_RATIO = 0.5, 0.5, math.log2(0.9)


@final
class Slack(Hypothesis[pd.DataFrame]):
    """Mean and variance of each dimension: their share of the mismatch, its growth with D, its fall with training."""

    id = "H18"
    group = "cause"
    claim = "Harmless mismatches of mean and variance sum to one that grows with D and that longer training cures."
    caption = (
        "Left: KL(q_N ‖ p), right: its share in means and variances of single dimensions, KL(G ‖ p)/KL(q_N ‖ p) with G "
        "the diagonal Gaussian of the exact moments, against the latent dimension D. Solid: longest training, dotted: "
        "shortest; means over seeds with 95 % intervals (Student-t), seeds as dots. Slack is a line of slope 1 on the "
        "left (dashed) that falls with training, with a share above one half on the right (shaded)."
    )
    needs = Needs(
        "Cells that differ in latent_dim and train.updates alone, with the standard prior",
        {"latent_dim": (8, 32, 128, 512), "train.updates": (220, 880)},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        columns = {"kl": "aggregate/train/kl", "moments": "aggregate/train/kl_moments_diagonal"}
        lines = above_noise(at_two_lengths(results.plain(), **columns), "kl")
        return lines.assign(share=lines["moments"] / lines["kl"])

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        at_largest = largest_dim(evidence)
        moments, kl = (by_replicate(at_largest, mean_of(column)) for column in ("moments", "kl"))
        growth, change = by_replicate(shortest(evidence), _exponent), by_replicate(at_largest, _change)
        share = "share of means and variances in KL(q_N ‖ p) at the largest D"
        ratio = "log2 KL after the longest over KL after the shortest training"
        return conclude(
            [
                Criterion.of_ratio(share, moments, kl, least=HALF),
                Criterion.of_mean("slope of log KL in log D", growth, least=LEAST_SLOPE, null=0.0),
                Criterion.of_mean(ratio, change, most=MOST_RATIO, null=0.0),
            ],
            scope(evidence),
        )

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (left, right) = marks.panels(2)
        marks.lengths(left, evidence, "kl")
        marks.lengths(right, evidence, "share")
        along = np.array(dims(evidence), dtype=float)
        left.plot(along, shortest(evidence)["kl"].max() * along / along.max(), **marks.guide("slope 1"))
        left.set_yscale("symlog", linthresh=0.01)
        left.yaxis.set_major_formatter("{x:g}")
        marks.region(right, HALF, math.inf, vertical=False)
        marks.axis_labels(left, "latent dimension D", "KL(q_N ‖ p), nats")
        marks.axis_labels(right, "latent dimension D", "share of means and variances")
        marks.legend(left)
        return figure


def _exponent(lines: pd.DataFrame) -> float:
    """Slope of log KL in log D."""
    return slope(np.log(lines["latent_dim"].astype(float)), np.log(lines["kl"]))


def _change(lines: pd.DataFrame) -> float:
    """log2 of KL after the longest over KL after the shortest training."""
    means = lines.groupby("updates")["kl"].mean().sort_index()
    return float(np.log2(means.iloc[-1] / means.iloc[0]))
