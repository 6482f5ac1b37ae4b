r"""H4: an aggregate posterior disjoint from the prior need not mean bad samples.

A linear-Gaussian VAE (:mod:`models.linear`) with its exact posterior, on N images drawn from the model itself: the
population's aggregate posterior is the prior at any rate, and decoded draws of the prior have the law of the data. The
mixture q_N over the N images is, at a rate far above log N, disjoint from the prior all the same. The repetitions are
independent of the results at hand and of the machine: they stand in ``h4_trials.csv``, which ``python -m
study.answers.hypotheses._linear_gaussian`` writes, and which a test computes again.

Rule, before any run: premises are a total variation TV(q_N, p) above 0.99 and KL(q_∞ ‖ p) below 1e-6 nats. The effect
is the squared maximum mean discrepancy (Gaussian kernel, median bandwidth) between 1,000 decoded draws of the prior and
1,000 data, as a share of what a known fault has: latents 20 % too wide. Supported if it is below 0.1 of it, which rules
out any fault of a tenth of that discrepancy; refuted if above; undecided where a premise fails.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import ROLES
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._rule import conclude, first_given_rest
from study.answers.results import Results

LATENT_DIM, IMAGES, REPETITIONS = 16, 500, 10
TRIALS = Path(__file__).with_name("h4_trials.csv")
DISJOINT, NO_GAP, SHARE = 0.99, 1e-6, 0.1


@final
class Disjointness(Hypothesis[pd.DataFrame]):
    """The linear-Gaussian VAE: q_N disjoint from the prior, samples exact."""

    id = "H4"
    family = "check"
    group = "picture"
    claim = "An aggregate posterior q_N that is disjoint from the prior can go with samples that are exact."
    caption = (
        "A linear-Gaussian VAE with its exact posterior; one dot per repetition. Left: total variation between the "
        "aggregate posterior q_N of the images and the prior: they share next to nothing (dashed: 1). Right: squared "
        "maximum mean discrepancy to the data of decoded draws of the prior, and, to show what the test can see, of "
        "the same with latents 20 % too wide; 0 is what exact samples have on average."
    )
    needs = None

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """One line per repetition with the numbers of a :class:`~study.answers.hypotheses._linear_gaussian.Trial`."""
        return pd.read_csv(TRIALS)

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        values = {name: evidence[[name]].T.set_axis(["linear-Gaussian VAE"]) for name in evidence}
        return conclude(
            [
                Criterion.of_ratio(
                    "discrepancy of samples and data as a share of that of latents 20 % too wide",
                    values["samples"],
                    values["fault"],
                    most=SHARE,
                ),
                Criterion.of_mean("TV(q_N, p)", values["total_variation"], least=DISJOINT),
                Criterion.of_mean("KL(q_∞ ‖ p), nats", values["population_kl"], most=NO_GAP),
            ],
            f"linear-Gaussian VAE, D = {LATENT_DIM}, N = {IMAGES}, repetitions instead of trainings",
            combine=first_given_rest,
            notes=[f"rate {evidence['rate'].mean():.3g} nats, log N = {math.log(IMAGES):.3g}"],
        )

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (left, right) = marks.panels(2, width=3.4)
        for axes, names in ((left, ["total_variation"]), (right, ["samples", "fault"])):
            dots = evidence[names].set_axis(range(len(names)), axis=1).melt(var_name="place")
            marks.means(axes, dots, "place", "value", "repetitions", colour=ROLES["aggregate"], line="")
            axes.set_xlim(-0.6, len(names) - 0.4)
        left.axhline(1.0, **marks.guide())
        left.set_ylim(0.0, 1.05)
        right.axhline(0.0, **marks.guide())
        left.set_xticks([0], ["q_N against prior"])
        right.set_xticks([0, 1], ["prior draws", "20 % too wide"])
        marks.axis_labels(left, "", "total variation")
        marks.axis_labels(right, "", "squared discrepancy to data")
        return figure
