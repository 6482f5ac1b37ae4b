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

from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import Lengths, by_length, command, scope
from study.answers.hypotheses._criterion import Criterion, judged, shown
from study.answers.hypotheses._statistics import by_replicate, over_seeds
from study.answers.results import Results

MOST = 0.1


@final
class Pruning(Hypothesis):
    """Active units against the latent dimension."""

    id = "H12"
    claim = "Under the summed ELBO the number of active units saturates: dimensions beyond it are pruned."
    needs = "Cells that differ in latent_dim and train.epochs alone, under the summed ELBO: " + command(
        "latent_dim=2,8,32,128",
        "train.epochs=20,80",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        lengths = _lengths(results)
        effect = "active units gained per dimension added, at the largest D"
        found = Criterion.of_mean(effect, by_replicate(lengths.longest, _gained), most=MOST)
        early = over_seeds(by_replicate(lengths.shortest, _gained))
        tables = [*lengths.longest.values(), *lengths.shortest.values()]
        return judged([found], scope(tables), notes=[f"at the shortest training {shown(early)}"])

    @override
    def draw(self, results: Results) -> Figure:
        """Active units, dimensions whose posterior mean has a variance above 0.01 over the training images, against the
        latent dimension D; solid: longest training, dotted: shortest; means over seeds with 95 % intervals (Student-t),
        seeds as dots. Dashed: every dimension active. Pruning is a line that turns flat."""
        lengths = _lengths(results)
        made, (axes,) = drawing.panels(1, width=4.8)
        drawing.lengths(axes, lengths, "active")
        dims = drawing.dims_of(lengths.longest)
        axes.plot(dims, dims, **drawing.guide("D"))
        axes.set_yscale("symlog", base=2, linthresh=1.0)
        axes.yaxis.set_major_formatter("{x:g}")
        drawing.titled(axes, "latent dimension D", "active units")
        drawing.legend(axes)
        return made


def _lengths(results: Results) -> Lengths:
    return by_length(results.plain(), active="aggregate/train/active_units")


def _gained(lines: pd.DataFrame) -> float:
    """Active units gained per dimension added between the two largest D."""
    means = lines.groupby("latent_dim")["active"].mean().sort_index().iloc[-2:]
    dims = means.index.to_numpy(dtype=float)
    return float((means.iloc[1] - means.iloc[0]) / (dims[1] - dims[0]))
