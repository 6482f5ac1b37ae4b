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
"""

from __future__ import annotations

from typing import final, override

from matplotlib.figure import Figure

from analysis.plots import colour
from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import Lengths, by_length, command, joined_lengths, largest_dim, recorded, scope
from study.answers.hypotheses._criterion import Criterion, judged, shown
from study.answers.hypotheses._statistics import by_replicate, mean_of, ratio_over_seeds
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


@final
class MisalignedCodes(Hypothesis):
    """A mismatch of second order that no single dimension and no norm shows."""

    id = "H19"
    claim = (
        "At high D the mismatch lies in a few directions of the aggregate's covariance that no single dimension shows."
    )
    needs = "Cells that differ in latent_dim and train.epochs alone, with the standard prior: " + command(
        "latent_dim=8,32,128,512",
        "train.epochs=20,80",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        lengths = _lengths(results)
        late, early = largest_dim(lengths.longest), largest_dim(lengths.shortest)
        values = {column: by_replicate(late, mean_of(column)) for column in COLUMNS}
        first = [
            ratio_over_seeds(*(by_replicate(early, mean_of(c)) for c in (part, "kl")))
            for part in ("moments", "diagonal")
        ]
        return judged(
            [
                Criterion.of_ratio(
                    "share of mean and covariance in KL(q_N ‖ p)", values["moments"], values["kl"], least=HALF
                ),
                Criterion.of_ratio("share that single dimensions show", values["diagonal"], values["kl"], most=HALF),
                Criterion.of_mean("largest eigenvalue of the covariance", values["eigenvalue"], least=EIGENVALUE),
                Criterion.of_ratio("I_N over log N", values["information"], values["log_n"], most=APART),
            ],
            scope(joined_lengths(lengths).values()),
            notes=[f"the two shares after the shortest training: {' and '.join(map(shown, first))}"],
        )

    @override
    def draw(self, results: Results) -> Figure:
        """Left: eigenvalues of the exact covariance of the aggregate posterior in descending order at the largest
        latent dimension, one line per seed (solid: longest training, dotted: shortest; dashed: the prior's). Right:
        share of KL(q_N ‖ p) that mean and covariance account for, and that means and variances of single dimensions
        do, against the latent dimension D after the longest training; means over seeds with 95 % intervals
        (Student-t), seeds as dots. Misaligned codes have few large eigenvalues, and the two shares far apart."""
        lengths = _lengths(results)
        spectra = {cell.key: found for cell in results if (found := cell.group("spectrum")) is not None}
        made, (left, right) = drawing.panels(2)
        for tables, line in ((lengths.longest, "-"), (lengths.shortest, ":")):
            for label, table in largest_dim(tables).items():
                kept = table[table["key"].isin(list(spectra))]
                for one in recorded(spectra, kept):
                    eigenvalues = one["eigenvalue"].values
                    ranks = range(1, len(eigenvalues) + 1)
                    left.plot(ranks, eigenvalues, linestyle=line, linewidth=1.2, color=colour(label))
        left.axhline(1.0, **drawing.guide())
        drawing.log_axis(left, "x")
        drawing.log_axis(left, "y")
        for table in lengths.longest.values():
            for column, label in (("moments", "mean and covariance"), ("diagonal", "single dimensions")):
                shares = table.assign(share=table[column] / table["kl"])
                drawing.means(right, shares, "latent_dim", "share", label)
        right.axhline(HALF, **drawing.guide())
        drawing.log_dims(right, drawing.dims_of(lengths.longest))
        drawing.titled(left, "rank", "eigenvalue")
        drawing.titled(right, "latent dimension D", "share of KL(q_N ‖ p)")
        drawing.legend(right)
        return made


def _lengths(results: Results) -> Lengths:
    return by_length(results.plain(), **COLUMNS)
