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
from collections.abc import Mapping
from typing import final, override

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._cells import command, family_tables, recorded, scope, tables_of
from study.answers.hypotheses._criterion import Criterion, judged, shown
from study.answers.hypotheses._statistics import Tables, by_replicate, mean_of, over_seeds, slope
from study.answers.results import Results

SATURATED, TOLERANCE = 0.1, 0.1
COLUMNS = {
    "kl": "aggregate/train/kl",
    "slope": "aggregate/train/kl_slope_log_n",
    "information": "aggregate/train/information",
    "log_n": "aggregate/train/log_n",
}


@final
class Coverage(Hypothesis):
    """Slope of KL(q_N ‖ p) in log N at a fixed model."""

    id = "H5"
    claim = (
        "While its bubbles are disjoint, q_N covers the prior as N e^(−R): KL(q_N ‖ p) falls by 1 nat per e-fold of N."
    )
    needs = "Cells whose rate is far above log N, from a small beta or few images: " + command(
        "latent_dim=32",
        "beta=0.01,1",
        "limit=200,800",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        everything = _tables(results)
        disjoint = {label: table for label, table in everything.items() if _spare(table) < SATURATED}
        if not disjoint:
            least = min(_spare(table) for table in everything.values())
            raise MissingCells(
                f"no cells with disjoint bubbles: log N − I_N is at least {least:.3g} nats, where {SATURATED} is needed"
            )
        slopes = by_replicate(disjoint, mean_of("slope"))
        low, high = -1 - TOLERANCE, -1 + TOLERANCE
        criterion = Criterion.of_mean("slope of KL(q_N ‖ p) in log N", slopes, least=low, most=high)
        return judged([criterion], scope(disjoint.values()), notes=_retrained(results))

    @override
    def draw(self, results: Results) -> Figure:
        """Left: KL(q_S ‖ p) over random subsets S of the training images, networks held fixed, less its value for the
        smallest subsets, against the size of S; one line per cell, mean over seeds with 95 % intervals (dashed: slope
        −1, that of disjoint bubbles). Right: the slope of such lines against how far the information I_N stays below
        log N, its value for disjoint bubbles; one dot per cell and seed. Colours are by that distance, dark where
        bubbles are disjoint; the claim is the shaded region, for cells left of 0.1."""
        tables = _tables(results)
        curves = {cell.key: found for cell in results if (found := cell.group("subsampling")) is not None}
        made, (left, right) = drawing.panels(2)
        spares = {label: _spare(table) for label, table in tables.items()}
        for label, table in tables.items():
            colour = drawing.shade(-spares[label], [-spare for spare in spares.values()])
            if set(table["key"]) <= curves.keys():
                drawing.means(left, _curve(curves, table), "size", "change", label, colour=colour, marker="")
            right.plot(table["log_n"] - table["information"], table["slope"], **drawing.dots(label, colour))
        drawing.log_axis(left, "x")
        low, high = left.get_xlim()
        left.plot([low, high], [0, math.log(low / high)], **drawing.guide("slope −1"))
        right.set_xscale("symlog", linthresh=SATURATED)
        drawing.within(right, -1 - TOLERANCE, -1 + TOLERANCE, vertical=False)
        drawing.titled(left, "images in S", "KL(q_S ‖ p), change in nats")
        drawing.titled(right, "log N − I_N, nats", "slope of KL in log N")
        return made


def _tables(results: Results) -> Tables:
    return tables_of(results.plain("beta", "objective", "posterior"), **COLUMNS)


def _spare(table: pd.DataFrame) -> float:
    """How far the information of a cell stays below log N, nats, mean over seeds."""
    return float((table["log_n"] - table["information"]).mean())


def _curve(curves: Mapping[str, xr.Dataset], table: pd.DataFrame) -> pd.DataFrame:
    """``size`` of the subsets of training images, and ``change`` of KL since the smallest, for every replicate."""
    train = [one.sel(split="train") for one in recorded(curves, table)]
    return pd.concat([pd.DataFrame({"size": one["num_images"], "change": one["kl"] - one["kl"][0]}) for one in train])


def _retrained(results: Results) -> list[str]:
    """The slope over networks trained anew on fewer images, where there are some."""
    try:
        families = family_tables(results.plain(), "limit", kl=COLUMNS["kl"], images=COLUMNS["log_n"])
        slopes = over_seeds(by_replicate(families, lambda lines: slope(lines["images"], lines["kl"])))
    except MissingCells:
        return []
    return [f"slope over networks trained anew on N images: {shown(slopes)}"]
