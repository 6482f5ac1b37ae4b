r"""H12: surplus dimensions are pruned under the summed ELBO.

Active units are dimensions whose posterior mean varies over the images by more than 0.01 (Burda et al. 2016). Where
dimensions beyond those that pay for their rate are pruned, their number stops growing with D.

Rule, before any run: the effect is the number of active units gained per dimension added between the two largest D of
each family under the summed ELBO, at its longest training, per replicate. Supported if it is below 0.1, one active unit
for ten dimensions; refuted if above. Undecided where one training length only is at hand, for units that are not active
yet are not pruned; the effect at the shortest training is reported beside it.
"""

from __future__ import annotations

from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import at_two_lengths, dims, longest, scope, shortest
from study.answers.hypotheses._intervals import by_replicate, over_seeds
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

MOST = 0.1


@final
class Pruning(Hypothesis[pd.DataFrame]):
    """Active units against the latent dimension."""

    id = "H12"
    group = "cause"
    claim = "Under the summed ELBO the number of active units saturates: dimensions beyond it are pruned."
    caption = (
        "Active units, dimensions whose posterior mean has a variance above 0.01 over the training images, against the "
        "latent dimension D; solid: longest training, dotted: shortest; means over seeds with 95 % intervals "
        "(Student-t), seeds as dots. Dashed: every dimension active. Pruning is a line that turns flat."
    )
    needs = Needs(
        "Cells that differ in latent_dim and train.updates alone, under the summed ELBO",
        {"latent_dim": (2, 8, 32, 128), "train.updates": (220, 880)},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        return at_two_lengths(results.plain(), active="aggregate/train/active_units")

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        effect = "active units gained per dimension added, at the largest D"
        criterion = Criterion.of_mean(effect, by_replicate(longest(evidence), _gained), most=MOST)
        early = over_seeds(by_replicate(shortest(evidence), _gained))
        return conclude([criterion], scope(evidence), notes=[f"at the shortest training {early}"])

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (axes,) = marks.panels(1, width=4.8)
        marks.lengths(axes, evidence, "active")
        axes.plot(dims(evidence), dims(evidence), **marks.guide("D"))
        axes.set_yscale("symlog", base=2, linthresh=1.0)
        axes.yaxis.set_major_formatter("{x:g}")
        marks.axis_labels(axes, "latent dimension D", "active units")
        marks.legend(axes)
        return figure


def _gained(lines: pd.DataFrame) -> float:
    """Active units gained per dimension added between the two largest D."""
    means = lines.groupby("latent_dim")["active"].mean().sort_index().iloc[-2:]
    dims = means.index.to_numpy(dtype=float)
    return float((means.iloc[1] - means.iloc[0]) / (dims[1] - dims[0]))
