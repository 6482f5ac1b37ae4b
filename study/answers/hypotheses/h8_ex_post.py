r"""H8: a density fitted to the codes after training repairs the samples of the standard prior.

With F the squared Fréchet distance of decoded draws to held-out images and r a density fitted to the codes of a trained
cell, the share of the gap that r closes is

    [F(prior) − F(r)] / [F(prior) − F(aggregate of the training images)],

0 where it changes nothing and 1 where it does as well as the exact aggregate, the best that any density can do with the
decoder at hand. r also certifies nats on held-out codes, E[log r − log p] ≤ KL(q ‖ p). Of each cell the density of the
most certified nats is taken, so that it is not chosen by the outcome; the widened aggregate itself
(``aggregate_kernel``) is left out, for it decodes to the training images: it is the ceiling, and no repair.

Rule, before any run: supported if the chosen densities together close more than half of the gap (ratio of means, with
Fieller's interval), refuted if less; undecided where the gap itself is not distinguishable from 0.
"""

from __future__ import annotations

from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from analysis.plots import ROLES
from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import best_density, command, frechet, scope
from study.answers.hypotheses._criterion import Criterion, judged, shown
from study.answers.hypotheses._statistics import Tables, by_replicate, mean_of, over_seeds
from study.answers.results import Results

HALF = 0.5


@final
class ExPost(Hypothesis):
    """Share of the prior's gap in quality that densities fitted after training close."""

    id = "H8"
    claim = (
        "A density fitted to the codes after training closes most of the gap in quality between prior and aggregate."
    )
    needs = "Cells with the standard prior, with densities fitted to their codes and samples judged: " + command(
        "latent_dim=8,32,128",
        "evaluate.densities=[gaussian_mixture,moment_normal,flow]",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        tables = _tables(results)
        nats = over_seeds(by_replicate(tables, mean_of("certified")))
        chosen = sorted({name for table in tables.values() for name in table["density"]})
        return judged(
            [_share(tables)],
            scope(tables.values()),
            notes=[f"certified by {', '.join(chosen)}: {shown(nats)} nats"],
        )

    @override
    def draw(self, results: Results) -> Figure:
        """Left: squared Fréchet distance to held-out images (features of a classifier of the data set) of decoded draws
        of the prior, of the density fitted to the codes after training that certifies the most nats, and of the
        aggregate posterior, against the latent dimension D; means over seeds with 95 % intervals, seeds as dots. Right:
        share of the gap between prior and aggregate that the density closes, over all cells and by cell, with Fieller's
        95 % interval; the claim is the shaded region."""
        tables = _tables(results)
        made, (left, right) = drawing.panels(2, width=4.6, height=drawing.forest_height(tables))
        joined = pd.concat(tables.values())
        for column, label in (("worst", "prior"), ("fitted", "fitted density"), ("best", "aggregate")):
            colour = ROLES.get(label)
            drawing.means(left, joined, "latent_dim", column, label, colour=colour, line="")
        drawing.log_dims(left, drawing.dims_of(tables))
        drawing.log_axis(left, "y")
        drawing.titled(left, "latent dimension D", "squared Fréchet distance")
        drawing.legend(left)
        drawing.forest(right, _share(tables))
        return made


def _tables(results: Results) -> Tables:
    """Of each cell its best density: ``certified`` nats, and the distances ``worst``, ``fitted`` and ``best``."""
    return best_density(results.plain(), worst=frechet("prior"), best=frechet("aggregate_train"))


def _share(tables: Tables) -> Criterion:
    columns = {
        "gained": lambda table: table["worst"] - table["fitted"],
        "gap": lambda table: table["worst"] - table["best"],
    }
    differences = {label: table.assign(**columns) for label, table in tables.items()}
    gained, gap = (by_replicate(differences, mean_of(column)) for column in columns)
    return Criterion.of_ratio("share of the gap in quality that is closed", gained, gap, least=HALF)
