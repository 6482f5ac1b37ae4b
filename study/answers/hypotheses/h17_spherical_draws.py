r"""H17: a spherical prior helps only where the shells differ.

Draws of the prior are moved along their radius to ‖z‖ = √D before decoding, as a prior on the sphere (von Mises–Fisher
latents, Davidson et al. 2018, arXiv:1804.00891) would have them. With F the squared Fréchet distance of decoded draws
to held-out images, the gain is log2 F(prior)/F(projected).

Rule, before any run: over cells whose shells coincide, |AUC of ‖z‖ − ½| below 0.1 between draws of q_N and of the prior
on average over seeds (hypothesis H3), supported if the gain is below log2 1.25 (a quarter of F: the least that this
study calls a difference of samples); refuted if above. The gain where shells differ is reported, and decides nothing:
the claim leaves it open.
"""

from __future__ import annotations

import math
from typing import final, override

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._cells import command, frechet, scope, tables_of
from study.answers.hypotheses._criterion import Criterion, judged
from study.answers.hypotheses._statistics import Tables, by_replicate, mean_of
from study.answers.results import Results

BLIND, MOST = 0.1, math.log2(1.25)


@final
class SphericalDraws(Hypothesis):
    """Prior draws projected to the sphere of radius √D, where norms tell aggregate from prior and where not."""

    id = "H17"
    claim = "Moving prior draws to the sphere of radius √D improves samples only where norms tell aggregate from prior."
    needs = "Cells with the standard prior and samples judged: " + command(
        "latent_dim=8,32,128",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        tables = _tables(results)
        coinciding = {label: table for label, table in tables.items() if _distance(table) < BLIND}
        if not coinciding:
            raise MissingCells(f"no cells whose shells coincide: |AUC of ‖z‖ − ½| is {BLIND} or more everywhere")
        gains = by_replicate(coinciding, mean_of("gain"))
        apart = [table["gain"].mean() for label, table in tables.items() if label not in coinciding]
        notes = [f"where shells differ ({len(apart)} cells): {np.mean(apart):.3g}"] if apart else []
        criterion = Criterion.of_mean("log2 F(prior) / F(projected), shells coinciding", gains, most=MOST)
        return judged([criterion], scope(coinciding.values()), notes=notes)

    @override
    def draw(self, results: Results) -> Figure:
        """Gain in sample quality from moving prior draws to ‖z‖ = √D, as log2 of the ratio of squared Fréchet distances
        to held-out images, against how well norms tell draws of the aggregate posterior from draws of the prior (AUC of
        ‖z‖; ½ is not at all); one dot per cell and seed, coloured by the latent dimension D. The claim is that nothing
        lies above the shaded region where the AUC is within 0.1 of ½ (dashed)."""
        tables = _tables(results)
        made, (axes,) = drawing.panels(1, width=4.8)
        dims = drawing.dims_of(tables)
        for table in tables.values():
            dim = int(table["latent_dim"].iloc[0])
            style = drawing.dots("gain", drawing.shade(dim, dims)) | {"label": f"D = {dim}"}
            axes.plot((table["norm_auc"] - 0.5).abs(), table["gain"], **style)
        axes.axvline(BLIND, **drawing.guide())
        drawing.within(axes, -math.inf, MOST, vertical=False)
        axes.set_xlim(left=0.0)
        drawing.titled(axes, "|AUC of ‖z‖ − ½|", "log2 F(prior) / F(projected)")
        drawing.legend(axes)
        return made


def _tables(results: Results) -> Tables:
    columns = {"worst": frechet("prior"), "shell": frechet("shell_prior"), "norm_auc": "aggregate/train/norm_auc"}
    tables = tables_of(results.plain(), **columns)
    return {label: table.assign(gain=np.log2(table["worst"] / table["shell"])) for label, table in tables.items()}


def _distance(table: pd.DataFrame) -> float:
    return float((table["norm_auc"] - 0.5).abs().mean())
