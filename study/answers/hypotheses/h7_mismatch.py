r"""H7: the mismatch of aggregate and prior grows with the latent dimension.

KL(q_N ‖ p) of the training images' own aggregate is exact up to Monte Carlo error; of the aggregate over the data
distribution, held-out images certify a lower end E[log q_N(z) − log p(z)]. Both are taken as slopes in log2 D, per
replicate.

Rule, before any run: at the longest training of each family over D, supported if both slopes are above 0.1 nats per
doubling of D, refuted if both are below. (0.1 nats per doubling is 1.1 nats from D = 32 to 65,536, a factor of three in
the density of draws; less is no reason for bad samples.) Undecided where one training length only is at hand: a verdict
on D from one length may be a verdict on optimisation. The slope at the shortest training is reported beside it.
"""

from __future__ import annotations

from typing import final, override

from matplotlib.figure import Figure

from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import Lengths, by_length, command, scope
from study.answers.hypotheses._criterion import Criterion, judged, shown, unanimity
from study.answers.hypotheses._statistics import by_replicate, over_seeds, per_doubling
from study.answers.results import Results

LEAST = 0.1
"""Nats per doubling of D."""


@final
class Mismatch(Hypothesis):
    """KL(q_N ‖ p), and what held-out images certify of it, against the latent dimension."""

    id = "H7"
    claim = "The mismatch KL(q ‖ p) of aggregate posterior and prior grows with the latent dimension D."
    needs = "Cells that differ in latent_dim and train.epochs alone, with the standard prior: " + command(
        "latent_dim=2,8,32,128",
        "train.epochs=20,80",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        lengths = _lengths(results)
        found = [
            Criterion.of_mean(
                f"{name}, nats per doubling of D", by_replicate(lengths.longest, per_doubling(column)), least=LEAST
            )
            for column, name in (("kl", "growth of KL(q_N ‖ p)"), ("certified", "growth of its certified lower end"))
        ]
        early = over_seeds(by_replicate(lengths.shortest, per_doubling("kl")))
        tables = [*lengths.longest.values(), *lengths.shortest.values()]
        return judged(found, scope(tables), combine=unanimity, notes=[f"at the shortest training {shown(early)}"])

    @override
    def draw(self, results: Results) -> Figure:
        """Mismatch of aggregate posterior and prior (nats) against the latent dimension D. Left: KL(q_N ‖ p) of the
        aggregate of the training images; right: the lower end that held-out images certify. Solid: longest training,
        dotted: shortest; means over seeds with 95 % intervals (Student-t), seeds as dots."""
        lengths = _lengths(results)
        made, axes = drawing.panels(2)
        for panel, column in zip(axes, ("kl", "certified"), strict=True):
            drawing.lengths(panel, lengths, column)
        drawing.titled(axes[0], "latent dimension D", "KL(q_N ‖ p), nats")
        drawing.titled(axes[1], "latent dimension D", "certified KL(q∞ ‖ p) ≥, nats")
        drawing.legend(axes[0])
        return made


def _lengths(results: Results) -> Lengths:
    return by_length(
        results.plain(),
        kl="aggregate/train/kl",
        certified="aggregate/held_out/kl_certified_aggregate",
    )
