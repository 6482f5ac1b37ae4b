r"""H19: misaligned codes.

At high D the signal may spread redundantly over many dimensions, each with σ ≈ 1 and a marginal like the prior's, while
the covariance of the aggregate has a few large eigenvalues. With G the Gaussian of the exact mean and full covariance
of q_N, KL(q_N ‖ p) = KL(q_N ‖ G) + KL(G ‖ p); with its diagonal alone, KL(G_diagonal ‖ p) is what single dimensions
show.

Rule, before any run: at the largest D of each family over D with the standard prior, after the longest training, per
replicate: (i) KL(G ‖ p) is more than half of KL(q_N ‖ p); (ii) KL(G_diagonal ‖ p) is less than half of it; (iii) the
largest eigenvalue of the covariance is above 2, twice the prior's; (iv) the bubbles overlap one another, I_N below 0.9
log N. Supported if all hold, refuted if one fails; undecided with one training length. Ratios of means with Fieller's
intervals; the shares after the shortest training are reported.

Amendment of 2026-11-26: A largest eigenvalue between 1 and 2 makes the claim not supported, and one below 1
refutes it.
"""

from __future__ import annotations

from typing import NamedTuple, final, override

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import colour
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import at_two_lengths, by_family, dims, largest_dim, longest, scope, shortest
from study.answers.hypotheses._intervals import by_replicate, mean_of, ratio_over_seeds
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._records import record_lines
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

HALF, EIGENVALUE, APART = 0.5, 2.0, 0.9
COLUMNS = {
    "kl": "aggregate/train/kl",
    "moments": "aggregate/train/kl_moments",
    "diagonal": "aggregate/train/kl_moments_diagonal",
    "eigenvalue": "aggregate/train/largest_eigenvalue",
    "information": "aggregate/train/information",
    "log_n": "aggregate/train/log_n",
}


class Covariances(NamedTuple):
    """Part of the mismatch that lies in the covariance of the aggregate.

    sweeps: COLUMNS of sweeps over the latent dimension.
    spectra: every ``eigenvalue`` of cells at the largest dimension, in descending order.
    """

    sweeps: pd.DataFrame
    spectra: pd.DataFrame


@final
class MisalignedCodes(Hypothesis[Covariances]):
    """A mismatch of second order that no single dimension and no norm shows."""

    id = "H19"
    group = "cause"
    claim = (
        "At high D the mismatch lies in a few directions of the aggregate's covariance that no single dimension shows."
    )
    caption = (
        "Left: eigenvalues of the exact covariance of the aggregate posterior in descending order at the largest "
        "latent dimension, one line per seed (solid: longest training, dotted: shortest; dashed: the prior's). Right: "
        "share of KL(q_N ‖ p) that mean and covariance account for, and that means and variances of single dimensions "
        "do, against the latent dimension D after the longest training; means over seeds with 95 % intervals "
        "(Student-t), seeds as dots. Misaligned codes have few large eigenvalues, and the two shares far apart."
    )
    needs = Needs(
        "Cells that differ in latent_dim and train.updates alone, with the standard prior",
        {"latent_dim": (8, 32, 128, 512), "train.updates": (220, 880)},
        estimators=("spectrum",),
    )

    @override
    def evidence(self, results: Results) -> Covariances:
        sweeps = at_two_lengths(results.plain(), **COLUMNS)
        columns = {"eigenvalue": "eigenvalue"}
        return Covariances(sweeps, record_lines(results, largest_dim(sweeps), "spectrum", columns))

    @override
    def decide(self, evidence: Covariances) -> Verdict:
        at_largest = largest_dim(evidence.sweeps)
        late, early = (
            {column: by_replicate(lines, mean_of(column)) for column in COLUMNS}
            for lines in (longest(at_largest), shortest(at_largest))
        )
        first = [str(ratio_over_seeds(early[part], early["kl"])) for part in ("moments", "diagonal")]
        covariance = "share of mean and covariance in KL(q_N ‖ p)"
        return conclude(
            [
                Criterion.of_ratio(covariance, late["moments"], late["kl"], least=HALF),
                Criterion.of_ratio("share that single dimensions show", late["diagonal"], late["kl"], most=HALF),
                Criterion.of_mean(
                    "largest eigenvalue of the covariance", late["eigenvalue"], least=EIGENVALUE, null=1.0
                ),
                Criterion.of_ratio("I_N over log N", late["information"], late["log_n"], most=APART),
            ],
            scope(evidence.sweeps),
            notes=[f"the two shares after the shortest training: {' and '.join(first)}"],
        )

    @override
    def draw(self, evidence: Covariances) -> Figure:
        figure, (left, right) = marks.panels(2)
        for end, line in ((longest(evidence.spectra), "-"), (shortest(evidence.spectra), ":")):
            for (label, _, _), spectrum in end.groupby(["family", "key", "replicate"], sort=False):
                ranks = range(1, len(spectrum) + 1)
                left.plot(ranks, spectrum["eigenvalue"], linestyle=line, linewidth=1.2, color=colour(str(label)))
        left.axhline(1.0, **marks.guide())
        marks.log_axis(left, "x")
        marks.log_axis(left, "y")
        for _, family in by_family(longest(evidence.sweeps)):
            for column, label in (("moments", "mean and covariance"), ("diagonal", "single dimensions")):
                shares = family.assign(share=family[column] / family["kl"])
                marks.means(right, shares, "latent_dim", "share", label)
        right.axhline(HALF, **marks.guide())
        marks.log_dims(right, dims(evidence.sweeps))
        marks.axis_labels(left, "rank", "eigenvalue")
        marks.axis_labels(right, "latent dimension D", "share of KL(q_N ‖ p)")
        marks.legend(right)
        return figure
