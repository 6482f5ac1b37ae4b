r"""H15: priors learned with the networks beat densities fitted after training.

Against each other stand a cell with another prior than the standard one, and the standard cell with all else equal
whose prior is replaced after training by a density r fitted to its codes (the one of the most certified nats; the
widened aggregate itself is left out). Both have a lower bound on held-out log p(x): the ELBO of the first, and for the
second the standard ELBO plus E[log r − log p], the ELBO gained by the swap with the networks frozen. And both have
samples: F is their squared Fréchet distance to held-out images. Differences are taken replicate by replicate.

Rule, before any run: over all learned priors at hand, supported if they gain more than 0.1 nats per image and F is
below 0.8 of that of the fit (log2 ratio below −0.32); refuted if neither holds; else undecided, as where one prior says
the opposite of another. 0.1 nats, and a quarter of F, are the least that this study calls a difference.
"""

from __future__ import annotations

import math
from typing import final, override

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, MissingCells, Verdict
from study.answers.hypotheses._cells import best_density, command, family_tables, frechet, scope
from study.answers.hypotheses._criterion import Criterion, judged, unanimity
from study.answers.hypotheses._statistics import Tables, by_replicate, mean_of
from study.answers.results import Results

LEAST_NATS, MOST_RATIO = 0.1, math.log2(0.8)


@final
class LearnedPriors(Hypothesis):
    """Learned priors against ex-post fits of the standard prior, paired by seed."""

    id = "H15"
    claim = "A prior learned with the networks gives more nats and better samples than a density fitted after training."
    needs = "Cells that differ in prior alone, with densities fitted to the codes of the standard one: " + command(
        "prior=standard_normal,vamp,gaussian_mixture",
        "latent_dim=8,32",
    )

    @override
    def decide(self, results: Results) -> Verdict:
        pairs = _pairs(results)
        return judged(_criteria(pairs), scope(pairs.values()), combine=unanimity)

    @override
    def draw(self, results: Results) -> Figure:
        """Learned priors against the density fitted after training to the codes of the standard prior, paired by seed,
        over all pairs and by prior and cell. Left: held-out ELBO gained (nats per image); right: log2 ratio of squared
        Fréchet distances to held-out images. Means with 95 % intervals (Student-t over seeds); the claim is the shaded
        region."""
        pairs = _pairs(results)
        made, axes = drawing.panels(2, width=4.6, height=drawing.forest_height(pairs))
        for panel, criterion in zip(axes, _criteria(pairs), strict=True):
            drawing.forest(panel, criterion)
        return made


def _criteria(pairs: Tables) -> list[Criterion]:
    nats, ratio = (by_replicate(pairs, mean_of(column)) for column in ("nats", "ratio"))
    return [
        Criterion.of_mean("held-out ELBO gained over the fit, nats", nats, least=LEAST_NATS),
        Criterion.of_mean("log2 F(learned prior) / F(fit)", ratio, most=MOST_RATIO),
    ]


def _pairs(results: Results) -> Tables:
    """Of each learned prior beside a standard cell, ``nats`` gained over its fit and log2 ``ratio`` of distances."""
    standard = results.plain()
    usual = {cell.settings["prior"] for cell in standard}
    columns = {"elbo": "aggregate/held_out/elbo", "distance": frechet("prior")}
    fits = pd.concat(best_density(standard, standard_elbo=columns["elbo"]).values())
    fitted = ["key", "replicate", "certified", "fitted", "standard_elbo"]
    found: dict[str, pd.DataFrame] = {}
    for label, family in family_tables(results.plain("prior"), "prior", **columns).items():
        own = fits[fits["key"].isin(family["key"])][fitted].drop(columns="key")
        for prior, table in family[~family["prior"].isin(usual)].groupby("prior"):
            pair = table.merge(own, on="replicate")
            if not pair.empty:
                nats = pair["elbo"] - pair["standard_elbo"] - pair["certified"]
                ratio = np.log2(pair["distance"] / pair["fitted"])
                found[f"{prior}, {label}".removesuffix(", all cells")] = pair.assign(nats=nats, ratio=ratio)
    if not found:
        raise MissingCells(
            "no learned prior beside a standard prior whose fitted density was judged, with all else equal"
        )
    return found
