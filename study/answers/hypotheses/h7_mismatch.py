r"""H7: the mismatch of aggregate and prior grows with the latent dimension.

KL(q_N ‖ p) of the training images' own aggregate is exact up to Monte Carlo error; of the aggregate over the data
distribution, held-out images certify a lower end E[log q_N(z) − log p(z)]. Both are taken as slopes in log2 D, per
replicate.

Rule, before any run: at the longest training of each family over D, supported if both slopes are above 0.1 nats per
doubling of D, refuted if both are below. (0.1 nats per doubling is 1.1 nats from D = 32 to 65,536, a factor of three in
the density of draws; less is no reason for bad samples.) Undecided where one training length only is at hand: a verdict
on D from one length may be a verdict on optimisation. The slope at the shortest training is reported beside it.

Amendment of 2026-11-26: Slopes between 0 and 0.1 make the claim not supported, and slopes below 0 refute it.
"""

from __future__ import annotations

from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import at_two_lengths, longest, scope, shortest
from study.answers.hypotheses._intervals import by_replicate, over_seeds, per_doubling
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude, unanimity
from study.answers.results import Results

LEAST = 0.1
"""Nats per doubling of D."""


@final
class Mismatch(Hypothesis[pd.DataFrame]):
    """KL(q_N ‖ p), and what held-out images certify of it, against the latent dimension."""

    id = "H7"
    family = "primary"
    group = "cause"
    claim = "The mismatch KL(q ‖ p) of aggregate posterior and prior grows with the latent dimension D."
    caption = (
        "Mismatch of aggregate posterior and prior (nats) against the latent dimension D. Left: KL(q_N ‖ p) of the "
        "aggregate of the training images; right: the lower end that held-out images certify. Solid: longest training, "
        "dotted: shortest; means over seeds with 95 % intervals (Student-t), seeds as dots."
    )
    needs = Needs(
        "Cells that differ in latent_dim and train.updates alone, with the standard prior",
        {"latent_dim": (2, 8, 32, 128), "train.updates": (220, 880)},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        columns = {"kl": "aggregate/train/kl", "certified": "aggregate/held_out/kl_certified_aggregate"}
        return at_two_lengths(results.plain(), **columns)

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        criteria = [
            Criterion.of_mean(
                f"{name}, nats per doubling of D",
                by_replicate(longest(evidence), per_doubling(column)),
                least=LEAST,
                null=0.0,
            )
            for column, name in (("kl", "growth of KL(q_N ‖ p)"), ("certified", "growth of its certified lower end"))
        ]
        early = over_seeds(by_replicate(shortest(evidence), per_doubling("kl")))
        notes = [f"at the shortest training {early}"]
        return conclude(criteria, scope(evidence), combine=unanimity, notes=notes)

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, axes = marks.panels(2)
        labels = {"kl": "KL(q_N ‖ p), nats", "certified": "certified KL(q∞ ‖ p) ≥, nats"}
        for panel, (column, label) in zip(axes, labels.items(), strict=True):
            marks.lengths(panel, evidence, column)
            marks.axis_labels(panel, "latent dimension D", label)
        marks.legend(axes[0])
        return figure
