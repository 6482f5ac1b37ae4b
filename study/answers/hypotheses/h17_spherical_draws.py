r"""H17: a spherical prior helps only where the shells differ.

Draws of the prior are moved along their radius to ‖z‖ = √D before decoding, as a prior on the sphere (von Mises–Fisher
latents, Davidson et al. 2018, arXiv:1804.00891) would have them. With F the squared Fréchet distance of decoded draws
to held-out images, the gain is log2 F(prior)/F(projected).

Rule, before any run: over cells whose shells coincide, |AUC of ‖z‖ − ½| below 0.1 between draws of q_N and of the prior
on average over seeds (hypothesis H3), supported if the gain is below log2 1.25 (a quarter of F: the least that this
study calls a difference of samples); refuted if above. The gain where shells differ is reported, and decides nothing:
the claim leaves it open.

Amendment of 2026-11-26: cells count in which both distances are four standard errors above 0.
"""

from __future__ import annotations

import math
from typing import final, override

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _marks as marks
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._criterion import Criterion
from study.answers.hypotheses._families import above_noise, alike, by_family, dims, frechet, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude
from study.answers.results import Results

BLIND, MOST = 0.1, math.log2(1.25)


@final
class SphericalDraws(Hypothesis[pd.DataFrame]):
    """Prior draws projected to the sphere of radius √D, where norms tell aggregate from prior and where not."""

    id = "H17"
    group = "cure"
    claim = "Moving prior draws to the sphere of radius √D improves samples only where norms tell aggregate from prior."
    caption = (
        "Gain in sample quality from moving prior draws to ‖z‖ = √D, as log2 of the ratio of squared Fréchet distances "
        "to held-out images, against how well norms tell draws of the aggregate posterior from draws of the prior (AUC "
        "of ‖z‖; ½ is not at all); one dot per cell and seed, coloured by the latent dimension D. The claim is that "
        "nothing lies above the shaded region where the AUC is within 0.1 of ½ (dashed)."
    )
    needs = Needs("Cells with the standard prior and samples judged", {"latent_dim": (8, 32, 128)})

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """In each cell the ``gain`` of the projection, and how far ``apart`` the shells are, |AUC of ‖z‖ − ½|."""
        columns = {"worst": frechet("prior"), "shell": frechet("shell_prior"), "norm_auc": "aggregate/train/norm_auc"}
        cells = above_noise(alike(results.plain(), **columns), "worst", "shell")
        return cells.assign(gain=np.log2(cells["worst"] / cells["shell"]), apart=(cells["norm_auc"] - 0.5).abs())

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        apart = evidence.groupby("family")["apart"].transform("mean")
        coinciding, differing = evidence[apart < BLIND], evidence[apart >= BLIND]
        if coinciding.empty:
            raise MissingCells(f"no cells whose shells coincide: |AUC of ‖z‖ − ½| is {BLIND} or more everywhere")
        gains = by_replicate(coinciding, mean_of("gain"))
        others = [cell["gain"].mean() for _, cell in by_family(differing)]
        notes = [f"where shells differ (cells: {len(others)}): {np.mean(others):.3g}"] if others else []
        criterion = Criterion.of_mean("log2 F(prior) / F(projected), shells coinciding", gains, most=MOST)
        return conclude([criterion], scope(coinciding), notes=notes)

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, (axes,) = marks.panels(1, width=4.8)
        for _, cell in by_family(evidence):
            dim = int(cell["latent_dim"].iloc[0])
            style = marks.dots("gain", marks.shade(dim, dims(evidence))) | {"label": f"D = {dim}"}
            axes.plot(cell["apart"], cell["gain"], **style)
        axes.axvline(BLIND, **marks.guide())
        marks.region(axes, -math.inf, MOST, vertical=False)
        axes.set_xlim(left=0.0)
        marks.axis_labels(axes, "|AUC of ‖z‖ − ½|", "log2 F(prior) / F(projected)")
        marks.legend(axes)
        return figure
