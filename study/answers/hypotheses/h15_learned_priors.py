r"""H15: priors learned with the networks beat densities fitted after training.

Against each other stand a cell with another prior than the standard one, and the standard cell with all else equal
whose prior is replaced after training by a density r fitted to its codes (the one of the most certified nats; the
widened aggregate itself is left out). Both have a lower bound on held-out log p(x): the ELBO of the first, and for the
second the standard ELBO plus E[log r − log p], the ELBO gained by the swap with the networks frozen. And both have
samples: F is their squared Fréchet distance to held-out images. Differences are taken replicate by replicate.

Rule, before any run: over all learned priors at hand, supported if they gain more than 0.1 nats per image and F is
below 0.8 of that of the fit (log2 ratio below −0.32); refuted if neither holds; else undecided, as where one prior says
the opposite of another. 0.1 nats, and a quarter of F, are the least that this study calls a difference.

Amendments of 2026-11-26, after the ratio of an earlier first look had come out undefined: a ratio counts where both
distances are four standard errors above 0, and else the claim is undecided, as an extrapolated distance may be
negative. Gains between 0 and the least that counts make the claim not supported, and losses refute it.
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
from study.answers.hypotheses._families import above_noise, best_density, by_family, families, frechet, scope
from study.answers.hypotheses._intervals import by_replicate, mean_of
from study.answers.hypotheses._needs import Needs
from study.answers.hypotheses._rule import conclude, unanimity
from study.answers.results import Results

LEAST_NATS, MOST_RATIO = 0.1, math.log2(0.8)
ELBO = "aggregate/held_out/elbo"


@final
class LearnedPriors(Hypothesis[pd.DataFrame]):
    """Learned priors against ex-post fits of the standard prior, paired by seed."""

    id = "H15"
    group = "cure"
    claim = "A prior learned with the networks gives more nats and better samples than a density fitted after training."
    caption = (
        "Learned priors against the density fitted after training to the codes of the standard prior, paired by seed, "
        "over all pairs and by prior and cell. Left: held-out ELBO gained (nats per image); right: log2 ratio of "
        "squared Fréchet distances to held-out images. Means with 95 % intervals (Student-t over seeds); the claim is "
        "the shaded region."
    )
    needs = Needs(
        "Cells that differ in prior alone, with densities fitted to the codes of the standard one",
        {"prior": ("standard_normal", "vamp", "gaussian_mixture"), "latent_dim": (8, 32)},
    )

    @override
    def evidence(self, results: Results) -> pd.DataFrame:
        """The ``nats`` that each learned prior gains over the fit of a standard cell, and the distances."""
        standard = results.plain()
        usual = {cell.settings["prior"] for cell in standard}
        fits = best_density(standard, standard_elbo=ELBO)[
            ["key", "replicate", "certified", "fitted", "fitted_error", "standard_elbo"]
        ]
        pairs = []
        for label, family in by_family(families(results.plain("prior"), "prior", elbo=ELBO, distance=frechet("prior"))):
            fit = fits[fits["key"].isin(family["key"])].drop(columns="key")
            for prior, lines in family[~family["prior"].isin(usual)].groupby("prior"):
                pairs.append(
                    lines.merge(fit, on="replicate").assign(family=f"{prior}, {label}".removesuffix(", all cells"))
                )
        paired = pd.concat(pairs, ignore_index=True) if pairs else pd.DataFrame()
        if paired.empty:
            raise MissingCells(
                "no learned prior beside a standard prior whose fitted density was judged, with all else equal"
            )
        return paired.assign(nats=paired["elbo"] - paired["standard_elbo"] - paired["certified"])

    @override
    def decide(self, evidence: pd.DataFrame) -> Verdict:
        return conclude(_criteria(evidence), scope(evidence), combine=unanimity)

    @override
    def draw(self, evidence: pd.DataFrame) -> Figure:
        figure, axes = marks.panels(2, width=4.6, height=marks.forest_height(evidence))
        for panel, criterion in zip(axes, _criteria(evidence), strict=True):
            marks.forest(panel, criterion)
        return figure


def _criteria(pairs: pd.DataFrame) -> list[Criterion]:
    nats = by_replicate(pairs, mean_of("nats"))
    judged = above_noise(pairs, "distance", "fitted")
    ratio = by_replicate(judged, lambda lines: float(np.log2(lines["distance"] / lines["fitted"]).mean()))
    return [
        Criterion.of_mean("held-out ELBO gained over the fit, nats", nats, least=LEAST_NATS, null=0.0),
        Criterion.of_mean("log2 F(learned prior) / F(fit)", ratio, most=MOST_RATIO, null=0.0),
    ]
