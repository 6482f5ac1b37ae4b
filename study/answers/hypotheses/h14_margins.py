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

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import alike, scope, with_optional
from study.answers.hypotheses._intervals import by_replicate, mean_of, over_seeds
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

SCALES = (0.5, 1.0, 2.0, 4.0)
MOST = 0.1
BESIDE = {"upper": "realism/local/predicted_flips_upper_1", "ceiling": "realism/local/label_agreement_0"}
"""Estimates that are reported where they were measured: the union bound on flips at s = 1, and the share of
reconstructions that keep the label, beyond which no noise can go."""


@final
class Margins(Hypothesis[pd.DataFrame]):
    """Label flips of noisy codes against those that the margins between centres predict."""

    id = "H14"
    family = "primary"
    group = "picture"
    claim = "Decoded draws of N(μ(x), s²I) keep the label of x as far as the margins between posterior means predict."
    caption = (
        "Label flips under noise s·ε about posterior means of held-out images: share of decoded draws to which a "
        "classifier gives another label, against the share of codes whose nearest posterior mean has another label; "
        "one dot per cell, seed and scale s, coloured by s. On the dashed line the margins predict what happens."
    )
    needs = Needs("Cells of a data set with labels, with samples judged", {"latent_dim": (2, 8, 32, 128)})

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """Shares ``agreement_<s>`` of draws that keep the label, and ``predicted_<s>`` of flips, at each scale s; and
        those of BESIDE, NaN where they were not measured."""
        columns = {f"agreement_{scale:g}": f"realism/local/label_agreement_{scale:g}" for scale in SCALES}
        columns |= {f"predicted_{scale:g}": f"realism/local/predicted_flips_{scale:g}" for scale in SCALES}
        cells = results.plain("beta", "objective", "posterior")
        lines = with_optional(cells, alike(cells, **columns), **BESIDE)
        gaps = [abs(1 - lines[f"agreement_{scale:g}"] - lines[f"predicted_{scale:g}"]) for scale in SCALES]
        return lines.assign(difference=sum(gaps) / len(gaps))

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        differences = by_replicate(evidence, mean_of("difference"))
        agreement = over_seeds(by_replicate(evidence, mean_of("agreement_1")))
        return conclude(
            [Criterion.of_mean("mean |flips measured − flips predicted|", differences, most=MOST)],
            scope(evidence),
            notes=[f"share of N(μ(x), I) that keeps its label: {agreement}", *_beside(evidence)],
        )

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (axes,) = marks.panels(1, width=4.2, height=3.8)
        for scale in SCALES:
            style = marks.dots("margins", marks.shade(scale, SCALES)) | {"label": f"s = {scale:g}"}
            axes.plot(evidence[f"predicted_{scale:g}"], 1 - evidence[f"agreement_{scale:g}"], **style)
        axes.plot([0, 1], [0, 1], **marks.guide())
        marks.axis_labels(axes, "flips predicted by margins", "flips measured")
        marks.legend(axes)
        return figure


def _beside(lines: pd.DataFrame) -> list[str]:
    """Notes on the bound and the ceiling, where they were measured."""
    notes = []
    if lines["upper"].notna().any():
        notes.append(f"flips that the margins allow at most at s = 1: {lines['upper'].mean():.3g}")
    if lines["ceiling"].notna().any():
        notes.append(f"share of reconstructions that keep it: {lines['ceiling'].mean():.3g}")
    return notes
