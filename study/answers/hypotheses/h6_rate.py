r"""H6: the rate, not the dimension, drives the gap in quality between prior and aggregate.

With F the squared Fréchet distance of decoded draws to held-out images, the gap is F(prior) − F(aggregate of the
training images). Over the cells of a sweep of β and D, per replicate, two regressions of the gap: on a quadratic in
log(1 + rate), and on the same with log2 D added. Their adjusted R², which a useless regressor does not raise on
average, say how much of the gap's variance each explains.

Rule, before any run: two effects, at the longest training. What log2 D adds to the rate: below 0.1 of the variance; and
what the rate explains by itself: above 0.5, for otherwise there was no collapse on the rate to speak of. Supported if
both hold, refuted if log2 D adds more than 0.1. Six cells are the fewest that four coefficients can be judged on;
undecided with one training length, for D from short runs may be optimisation.

The same is asked of the decoder's gain along the mean m of the codes, E‖J(z) m‖², in the place of the rate: how far
images move along that part of the mismatch, and not its nats. It is reported, and decides nothing.
"""

from __future__ import annotations

from typing import final, override

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import at_two_lengths, by_family, dims, frechet, longest, scope, with_optional
from study.answers.hypotheses._intervals import by_replicate, over_seeds
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import Combination, conclude, first_given_rest
from study.answers.results import Results

ADDED, EXPLAINED, LEAST_CELLS = 0.1, 0.5, 6
GAIN = "aggregate/train/gain_mean"

WHATEVER_THE_RATE = Combination(
    lambda decisions: "refuted" if decisions[0] == "refuted" else first_given_rest(decisions), "first"
)
"""Combination of criteria: an effect of log2 D refutes by itself; support also needs that the rate explains the gap."""


@final
class Rate(Hypothesis[pd.DataFrame]):
    """Gap in quality against the rate over a sweep of beta and the latent dimension."""

    id = "H6"
    group = "cause"
    claim = "At matched rate, the gap in quality between samples of prior and aggregate does not depend on D."
    caption = (
        "Gap in quality at the longest training: the squared Fréchet distance to held-out images of decoded draws of "
        "the prior minus that of draws of the aggregate posterior (features of a classifier of the data set), against "
        "the rate (nats) over cells of different β; means over seeds, seeds as dots, coloured by the latent dimension "
        "D. If the rate alone drives the gap, the colours fall on one curve."
    )
    needs = Needs(
        "A sweep of beta and latent_dim, six cells or more",
        {"latent_dim": (8, 32, 128), "beta": (0.1, 0.3, 1, 3), "train.updates": (220, 880)},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """``rate``, ``gap`` and, NaN where it was not measured, ``gain`` of sweeps of LEAST_CELLS or more at two
        training lengths."""
        columns = {"rate": "aggregate/train/rate", "worst": frechet("prior"), "best": frechet("aggregate_train")}
        sweeps = at_two_lengths(results.plain("beta"), "beta", **columns)
        large = sweeps.groupby("family").filter(
            lambda sweep: sweep.groupby("length")["key"].nunique().min() >= LEAST_CELLS
        )
        if large.empty:
            raise MissingCells(
                f"no sweep of beta and latent_dim of {LEAST_CELLS} cells or more at two training lengths"
            )
        return with_optional(results, large.assign(gap=large["worst"] - large["best"]), gain=GAIN)

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        late = longest(evidence)
        added, rate_alone = _shares(late, "rate")
        notes = []
        if late["gain"].notna().all():
            beyond, alone = map(over_seeds, _shares(late, "gain"))
            notes.append(f"the gain along the mean of the codes explains {alone}, and log2 D adds {beyond} to it")
        explained = Criterion.of_mean("share of the gap's variance that the rate explains", rate_alone, least=EXPLAINED)
        return conclude(
            [Criterion.of_mean("share that log2 D adds at fixed rate", added, most=ADDED), explained],
            scope(evidence),
            notes=notes,
            combine=WHATEVER_THE_RATE,
        )

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        late = longest(evidence)
        figure, (axes,) = marks.panels(1, width=4.8)
        for _, sweep in by_family(late):
            for dim in dims(late):
                cells = sweep[sweep["latent_dim"] == dim]
                colour = marks.shade(dim, dims(late))
                style = marks.dots("seeds", colour) | {"markersize": 2.5, "label": None}
                axes.plot(cells["rate"], cells["gap"], **style)
                centre = cells.groupby("beta")[["rate", "gap"]].mean().sort_values("rate")
                axes.plot(centre["rate"], centre["gap"], marker="o", color=colour, label=f"D = {dim}")
        axes.axhline(0.0, **marks.guide())
        axes.set_xscale("symlog", linthresh=1.0)
        marks.axis_labels(axes, "rate R, nats", "F(prior) − F(aggregate)")
        marks.legend(axes)
        return figure


def _shares(lines: pd.DataFrame, column: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shares of the gap's variance, families × replicates: what log2 D adds to ``column``, and that column alone."""
    alone = by_replicate(lines, lambda part: _explained(part, column, by_dim=False))
    return by_replicate(lines, lambda part: _explained(part, column, by_dim=True)) - alone, alone


def _explained(lines: pd.DataFrame, column: str, *, by_dim: bool) -> float:
    """Adjusted R² of the regression of the gap on a quadratic in the logarithm of 1 + ``column``."""
    logarithm = np.log1p(lines[column].to_numpy())
    columns: list[npt.NDArray[np.float64]] = [np.ones(len(lines)), logarithm, logarithm**2]
    if by_dim:
        columns.append(np.log2(lines["latent_dim"].to_numpy(dtype=float)))
    design, gap = np.column_stack(columns), lines["gap"].to_numpy()
    residual = gap - design @ np.linalg.lstsq(design, gap, rcond=None)[0]
    freedom = len(gap) - design.shape[1]
    return float(1 - (residual @ residual / freedom) / gap.var(ddof=1))
