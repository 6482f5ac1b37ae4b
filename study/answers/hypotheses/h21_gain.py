r"""H21: quality lost goes with how far the decoder moves along the mismatch, and not with the mismatch in nats.

Draws z of the aggregate posterior of a trained cell are displaced by δ, along the mean of the codes and its negative,
the same permuted, eigenvectors of their covariance C at both ends of the spectrum, and random directions, each at
several lengths. Of each displacement are known, with g(z) the mean of p(x|z), J its Jacobian and F the squared Fréchet
distance to held-out images,

    quality lost   F(g(z + δ)) − F(g(z)),
    gain           E‖J(z) δ‖²,
    nats           KL(N(m + δ, C) ‖ N(m, C)) = ½ δᵀ C⁻¹ δ,

the last being how far apart the displaced codes are from those that the decoder was trained on. Both grow with |δ|, so
that each is asked for at a given value of the other: Spearman's partial rank correlation

    ρ(a, b | c) = [ρ(a, b) − ρ(a, c) ρ(b, c)] / √{[1 − ρ(a, c)²][1 − ρ(b, c)²]},

over the displacements of one cell and replicate.

Rule, before any run: (written on 2026-11-25; a later change is an amendment with its date.) Over cells with the
standard prior: supported if ρ(lost, gain | nats) is above 0.5 and ρ(lost, nats | gain) below 0.3, means over seeds with
Student-t intervals; refuted if either lies outside; undecided where one is open, or where one cell says the opposite of
another. 0.3² = 9 % of the variance of the ranks is what H13, too, takes for the least that matters, and a half is a
quarter of it.

Amendment of 2026-11-26: A correlation with the gain between 0 and 0.5 makes the claim not supported, and one
below 0 refutes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import alike, by_family, scope
from study.answers.hypotheses._intervals import by_replicate
from study.answers.hypotheses._needs import Map, Needs
from study.answers.hypotheses._records import having_records, record_lines
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

LEAST, MOST = 0.5, 0.3


@final
class Gain(Hypothesis[pd.DataFrame]):
    """Quality lost by displaced codes against the decoder's gain and against nats."""

    id = "H21"
    group = "cause"
    claim = (
        "The quality lost goes with how far the decoder moves along the mismatch, and not with the mismatch in nats."
    )
    caption = (
        "Draws of the aggregate posterior displaced along the mean of the codes, eigenvectors of their covariance and "
        "random directions: squared Fréchet distance (features of a classifier of the data set) of the decoded images, "
        "less that of the draws as they are, against (left) the gain E‖J(z) δ‖² of the decoder along the displacement, "
        "in squared pixel values summed over the image, and (middle) its nats ½ δᵀC⁻¹δ; dots are displacements of one "
        "cell and seed. Right: partial rank correlation of quality lost and gain at given nats, mean over seeds with "
        "95 % interval (Student-t), over all cells and by cell; the claim is the shaded region."
    )
    needs = Needs(
        "Maps and vectors with the standard prior whose codes were displaced",
        {"latent_dim": (Map(64), Map(4), 64)},
        {"network": "spatial", "evaluate.displacements": 6},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """A line for each displacement of each cell and replicate: quality ``lost``, ``gain`` and ``nats``."""
        measured = having_records(results, "displacements")
        cells = alike(measured.plain(), rate="aggregate/train/rate")
        columns = {"lost": "lost", "gain": "gain", "nats": "nats"}
        return record_lines(measured, cells, "displacements", columns)

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        nats = by_replicate(evidence, _partial("nats", "gain"))
        effect = "rank correlation of quality lost and nats at given gain"
        return conclude([_by_gain(evidence), Criterion.of_mean(effect, nats, most=MOST)], scope(evidence))

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (left, middle, right) = marks.panels(3, width=3.8, height=marks.forest_height(evidence))
        for axes, column, label in (
            (left, "gain", "gain E‖J(z) δ‖²"),
            (middle, "nats", "nats ½ δᵀC⁻¹δ"),
        ):
            for family, lines in by_family(evidence):
                axes.plot(lines[column], lines["lost"], **marks.dots(family) | {"markersize": 2.5})
            marks.log_axis(axes, "x")
            marks.axis_labels(axes, label, "squared Fréchet distance lost")
        marks.legend(left)
        marks.forest(right, _by_gain(evidence))
        return figure


def _by_gain(displacements: pd.DataFrame) -> Criterion:
    gain = by_replicate(displacements, _partial("gain", "nats"))
    return Criterion.of_mean("rank correlation of quality lost and gain at given nats", gain, least=LEAST, null=0.0)


def _partial(column: str, given: str) -> Callable[[pd.DataFrame], float]:
    """The statistic: partial rank correlation of quality lost and ``column`` at given ``given``."""

    def statistic(lines: pd.DataFrame) -> float:
        ranks = lines[["lost", column, given]].corr("spearman").to_numpy()
        between, of_lost, of_column = map(float, (ranks[0, 1], ranks[0, 2], ranks[1, 2]))
        return (between - of_lost * of_column) / math.sqrt((1 - of_lost**2) * (1 - of_column**2))

    return statistic
