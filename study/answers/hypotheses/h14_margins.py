r"""H14: N(μ(x), I) keeps the digit because the margins between centres are wide.

Noise s·ε brings μᵢ nearer to another centre μⱼ with probability Φ(−‖μᵢ − μⱼ‖/2s), in any dimension. The share of μ(x) +
s·ε whose nearest centre has another label is what the margins predict; the share of decode(μ(x) + s·ε) to which a
classifier gives another label than that of x is what happens, at s = ½, 1, 2 and 4.

Rule, before any run: the effect is the mean over the scales of |flips measured − flips predicted|. Supported if it is
below 0.1, refuted if above: labels of ten classes chosen without regard to x would flip 0.9 of the time, and a
prediction that is a tenth off says where that lies. Whether the digit is kept at s = 1 (the asker's N(μ(x), I)) is
reported.
"""

from __future__ import annotations

from typing import final, override

import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._cells import command, scope, tables_of
from study.answers.hypotheses._criterion import Criterion, judged, shown
from study.answers.hypotheses._statistics import Tables, by_replicate, mean_of, over_seeds
from study.answers.results import Results

SCALES = (0.5, 1.0, 2.0, 4.0)
MOST = 0.1
COLUMNS = {f"kept_{scale:g}": f"realism/local/label_agreement_{scale:g}" for scale in SCALES} | {
    f"predicted_{scale:g}": f"realism/local/predicted_flips_{scale:g}" for scale in SCALES
}


@final
class Margins(Hypothesis):
    """Label flips of noisy codes against those that the margins between centres predict."""

    id = "H14"
    claim = "Decoded draws of N(μ(x), s²I) keep the label of x as far as the margins between posterior means predict."
    needs = "Cells of a data set with labels, with samples judged: " + command(
        "latent_dim=2,8,32,128",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        tables = _tables(results)
        differences = by_replicate(tables, _difference)
        kept = over_seeds(by_replicate(tables, mean_of("kept_1")))
        return judged(
            [Criterion.of_mean("mean |flips measured − flips predicted|", differences, most=MOST)],
            scope(tables.values()),
            notes=[f"share of N(μ(x), I) that keeps its label: {shown(kept)}"],
        )

    @override
    def draw(self, results: Results) -> Figure:
        """Label flips under noise s·ε about posterior means of held-out images: share of decoded draws to which a
        classifier gives another label, against the share of codes whose nearest posterior mean has another label; one
        dot per cell, seed and scale s, coloured by s. On the dashed line the margins predict what happens."""
        made, (axes,) = drawing.panels(1, width=4.2, height=3.8)
        joined = pd.concat(_tables(results).values())
        for scale in SCALES:
            style = drawing.dots("margins", drawing.shade(scale, SCALES)) | {"label": f"s = {scale:g}"}
            axes.plot(joined[f"predicted_{scale:g}"], 1 - joined[f"kept_{scale:g}"], **style)
        axes.plot([0, 1], [0, 1], **drawing.guide())
        drawing.titled(axes, "flips predicted by margins", "flips measured")
        drawing.legend(axes)
        return made


def _tables(results: Results) -> Tables:
    return tables_of(results.plain("beta", "objective", "posterior"), **COLUMNS)


def _difference(lines: pd.DataFrame) -> float:
    gaps = [abs(1 - lines[f"kept_{scale:g}"] - lines[f"predicted_{scale:g}"]).mean() for scale in SCALES]
    return float(sum(gaps) / len(gaps))
