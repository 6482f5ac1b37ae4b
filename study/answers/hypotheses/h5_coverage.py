r"""H5: the prior's coverage by q_N goes as N e^(−R).

While the bubbles of the images are disjoint, log q_N(z) = log q(z|xₙ) − log N at a draw of bubble n, so KL(q_N ‖ p) = R
− log N: each image adds a bubble that covers about e^(−R) of the prior, whatever D. Where bubbles overlap, the slope of
KL(q_N ‖ p) in log N rises from −1 to 0.

Rule, before any run: the networks are held fixed and subsets of their training images are taken, N/24 to N. Over cells
whose bubbles are disjoint, log N − I_N < 0.1 nats on average over seeds (the information is saturated), the effect is
that slope. Supported if it is within −1 ± 0.1: over the factor of 24 in N a deviation of 0.1 would be 0.3 nats, three
times what saturation leaves open. Refuted if outside. Undecided where no cell's rate is far enough above log N.
Networks trained anew on fewer images (``limit``) change their rate as well; their slope is reported, and decides
nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final, override

import pandas as pd
from matplotlib.figure import Figure

from analysis.interval import Interval
from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import alike, by_family, families, scope, with_optional
from study.answers.hypotheses._intervals import by_replicate, mean_of, over_seeds, slope
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._records import record_lines
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

SATURATED, TOLERANCE = 0.1, 0.1
COLUMNS = {
    "kl": "aggregate/train/kl",
    "slope": "aggregate/train/kl_slope_log_n",
    "information": "aggregate/train/information",
    "log_n": "aggregate/train/log_n",
}

BESIDE = {"covered": "aggregate/train/soft_covering", "apart": "aggregate/train/bubble_total_variation"}
NAMES = {
    "covered": "share min(1, N e^(−R)) of the prior that so many bubbles cover",
    "apart": "total variation of one bubble and the prior",
}
"""Estimates of cells with disjoint bubbles that are reported where they were measured, and decide nothing."""


class Subsets(NamedTuple):
    """How the mismatch falls with the number of images N.

    cells: COLUMNS of every cell.
    curves: their ``kl`` (nats) of aggregates over ``images`` of the training images.
    retrained: slope of KL in log N over networks trained anew on fewer images; None where there are none.
    """

    cells: pd.DataFrame
    curves: pd.DataFrame
    retrained: Interval | None


@final
class Coverage(Hypothesis[Subsets]):
    """Slope of KL(q_N ‖ p) in log N at a fixed model."""

    id = "H5"
    family = "check"
    group = "picture"
    claim = (
        "While its bubbles are disjoint, q_N covers the prior as N e^(−R): KL(q_N ‖ p) falls by 1 nat per e-fold of N."
    )
    caption = (
        "Left: KL(q_S ‖ p) over random subsets S of the training images, networks held fixed, less its value for the "
        "smallest subsets, against the size of S; one line per cell, mean over seeds with 95 % intervals (dashed: "
        "slope −1, that of disjoint bubbles). Right: the slope of such lines against how far the information I_N stays "
        "below log N, its value for disjoint bubbles; one dot per cell and seed. Colours are by that distance, dark "
        "where bubbles are disjoint; the claim is the shaded region, for cells left of 0.1."
    )
    needs = Needs(
        "Cells whose rate is far above log N, from a small beta or few images",
        {"beta": (0.01, 1), "limit": (200, 800)},
        estimators=("growth",),
    )

    @override
    def evidence(self, results: Results) -> Subsets:
        of_any = results.plain("beta", "objective", "posterior")
        cells = with_optional(of_any, alike(of_any, **COLUMNS), **BESIDE)
        columns = {"images": "num_images", "kl": "kl"}
        curves = record_lines(results, cells, "subsampling", columns, split="train")
        return Subsets(cells, curves, _retrained(results))

    @override
    def decide(self, evidence: Subsets) -> Verdict:
        disjoint = evidence.cells.groupby("family").filter(lambda cell: _spare(cell) < SATURATED)
        if disjoint.empty:
            least = min(_spare(cell) for _, cell in by_family(evidence.cells))
            raise MissingCells(
                f"no cells with disjoint bubbles: log N − I_N is at least {least:.3g} nats, where {SATURATED} is needed"
            )
        slopes = by_replicate(disjoint, mean_of("slope"))
        low, high = -1 - TOLERANCE, -1 + TOLERANCE
        criterion = Criterion.of_mean("slope of KL(q_N ‖ p) in log N", slopes, least=low, most=high)
        retrained = evidence.retrained
        notes = [f"slope over networks trained anew on N images: {retrained}"] if retrained else []
        notes += [
            f"{name}: {disjoint[column].mean():.3g}" for column, name in NAMES.items() if disjoint[column].notna().any()
        ]
        return conclude([criterion], scope(disjoint), notes=notes)

    @override
    def draw(self, evidence: Subsets) -> Figure:
        figure, (left, right) = marks.panels(2)
        curves = dict(by_family(evidence.curves))
        spares = {label: _spare(cell) for label, cell in by_family(evidence.cells)}
        for label, cell in by_family(evidence.cells):
            colour = marks.shade(-spares[label], [-spare for spare in spares.values()])
            if label in curves:
                curve = curves[label]
                change = curve["kl"] - curve.groupby("replicate")["kl"].transform("first")
                marks.means(left, curve.assign(change=change), "images", "change", label, colour=colour, marker="")
            right.plot(cell["log_n"] - cell["information"], cell["slope"], **marks.dots(label, colour))
        marks.log_axis(left, "x")
        low, high = left.get_xlim()
        left.plot([low, high], [0, math.log(low / high)], **marks.guide("slope −1"))
        right.set_xscale("symlog", linthresh=SATURATED)
        marks.region(right, -1 - TOLERANCE, -1 + TOLERANCE, vertical=False)
        marks.axis_labels(left, "images in S", "KL(q_S ‖ p), change in nats")
        marks.axis_labels(right, "log N − I_N, nats", "slope of KL in log N")
        return figure


def _spare(cell: pd.DataFrame) -> float:
    """How far the information of a cell stays below log N, nats, mean over seeds."""
    return float((cell["log_n"] - cell["information"]).mean())


def _retrained(results: Results) -> Interval | None:
    """The slope over networks trained anew on fewer images, where there are some."""
    try:
        sweeps = families(results.plain(), "limit", kl=COLUMNS["kl"], images=COLUMNS["log_n"])
        return over_seeds(by_replicate(sweeps, lambda lines: slope(lines["images"], lines["kl"])))
    except MissingCells:
        return None
