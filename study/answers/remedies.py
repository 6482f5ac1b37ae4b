r"""Remedies: how good the samples are that each cure gives, and the share of the prior's quality gap that it closes.

The gap is between samples of the standard prior and of its own aggregate posterior, the best that any density over
its codes can do with the decoder at hand. With F the squared Fréchet distance to held-out images,

    share = E[F(standard prior) − F(remedy)] / E[F(standard prior) − F(standard aggregate)]        (E over seeds):

0 where the remedy changes nothing, 1 where it reaches the exact aggregate, above 1 where a retrained model surpasses
it. A remedy is another prior, posterior, objective or schedule of training with all else equal, sampled from its own
prior, or a density fitted after training to the codes of the standard cell. Replicate r of all of them shares data
order and noise, so that numerator and denominator are paired by seed.

Remedies are ranked by their level F(remedy) and not by a gap: a prior whose aggregate decodes badly too has a small gap
and bad samples. The level of the remedy's own aggregate stands beside it. Remedies that give training images again are
marked: their level is low because they copy.

The interval is Fieller's (:meth:`analysis.interval.Interval.fieller`), and where the gap is not distinguishable from 0
the share is refused. A single seed has no spread: its gap is held to the standard errors of the evaluation of both F,
as if these were independent, which is too large since they share the held-out images. Over several latent dimensions,
strata with seeds of their own, the means are summed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.interval import NO_RATIO, ONE_VALUE, Interval
from study.answers.results import Results, StoredCell
from study.answers.settings import settings
from study.design.cell import Cell
from study.design.families import DENSITIES, PRIORS
from study.design.labels import labels
from study.design.parts import part_name
from study.design.registry import UnknownName

TREATED = {
    "prior": ("prior",),
    "posterior": ("posterior",),
    "objective": ("objective",),
    "training": ("train.kl_warmup", "train.kl_cycles", "train.encoder_updates", "train.aggressive_epochs"),
}
"""Settings that a remedy may change, by kind; their defaults are what is to be remedied."""

KINDS = (*TREATED, "prior and posterior")
"""Settings that a remedy may change, all else equal: those of one kind, or a prior and the posterior that it needs."""

EX_POST = "ex-post density"
LEVELS = ["prior", "aggregate", "remedied", "remedied_aggregate"]
"""Squared Fréchet distances: samples of the prior and of the aggregate to be remedied, of the remedy, and of the
aggregate of the remedy's own codes."""
COLUMNS = ["remedy", "kind", "of", "latent_dim", *LEVELS, "share", "lower", "upper", "gap", "seeds", "repeats", "flag"]
POOLED = 0
"""Stands for all latent dimensions together."""

NO_GAP = "no gap to close that is distinguishable from 0"
ONE_SEED = "one seed: no interval"
_FLAGS = {"": "", NO_RATIO: NO_GAP, ONE_VALUE: ONE_SEED}
"""Sentences for the reasons for which a ratio has no interval."""


@dataclass(frozen=True, eq=False)
class Treatment:
    """A remedy of one cell: the cell ``treated`` and the ``source`` of it whose samples take the place of the prior's.

    remedy: what is changed, as labels have it.
    kind: of KINDS, or EX_POST.
    """

    treated: StoredCell
    source: str
    remedy: str
    kind: str

    @property
    def repeats(self) -> bool:
        """Whether its samples are the training images again: a property of the prior or of the density."""
        prior = self.treated.settings["prior"]
        family, name = (DENSITIES, part_name(self.source)) if self.kind == EX_POST else (PRIORS, prior)
        try:
            return family.signature(name).repeats_training_images
        except UnknownName:  # of a package that is not installed here
            return False


def treatments(results: Results, cell: StoredCell) -> list[Treatment]:
    """Remedies of ``cell``: densities fitted to its codes, and cells of ``results``, of the same images, that differ in
    one of KINDS."""
    names, families = _alike(results)
    densities = cell.tables.get("densities")
    fitted = [] if densities is None else list(densities.rows)
    return [Treatment(cell, name, name, EX_POST) for name in fitted] + [
        Treatment(other, "prior", _added(names[cell.key], names[other.key]), kind)
        for other in families[cell.key]
        if other.manifest.images == cell.manifest.images and (kind := _kind(cell, other)) in KINDS
    ]


@lru_cache(maxsize=4)
def _alike(results: Results) -> tuple[dict[str, str], dict[str, Results]]:
    """The label of each cell of ``results`` by its key, and the cells that differ from it in settings of TREATED alone:
    each cell is asked about in turn."""
    factors = [name for changed in TREATED.values() for name in changed]
    families = {cell.key: family for family in results.partition(*factors) for cell in family}
    return labels({cell.key: cell.manifest.config for cell in results}), families


def remedies(results: Results) -> pd.DataFrame:
    """Levels and shares of the gap closed, the best level first within each latent dimension; of one data set.

    Columns: ``remedy``; ``kind``, the part replaced or ``ex-post density``; ``of``, the label of the cells to remedy;
    ``latent_dim``, POOLED for all of them together where there are several; LEVELS, means over seeds (and over latent
    dimensions); ``share`` with the ends ``lower`` and ``upper`` of its interval; ``gap``, ``prior`` less ``aggregate``;
    ``seeds``, the number of pairs; ``repeats``, whether the remedy gives training images again; ``flag``, why there is
    no interval.
    """
    found: dict[tuple[str, str, str, bool], dict[int, _Levels]] = defaultdict(dict)
    for identity, dim, levels in _levels(results):
        found[identity][dim] = levels
    lines = []
    for (remedy, kind, of, repeats), by_dim in found.items():
        replicated = [levels for levels in by_dim.values() if levels.shape[1] > 1]
        pooled = {POOLED: replicated} if len(replicated) > 1 else {}
        for dim, strata in (pooled | {dim: [levels] for dim, levels in by_dim.items()}).items():
            values = [levels[..., 0] for levels in strata]
            pairs = [(prior - remedied, prior - best) for prior, best, remedied, _ in values]
            share = Interval.fieller(pairs, error=math.hypot(*strata[0][:2, 0, 1]))
            means = dict(zip(LEVELS, np.mean([each.mean(1) for each in values], axis=0).tolist(), strict=True))
            interval = {"share": share.value, "lower": share.lower, "upper": share.upper, "seeds": share.n}
            rest = {"gap": means["prior"] - means["aggregate"], "repeats": repeats, "flag": _FLAGS[share.reason]}
            lines.append({"remedy": remedy, "kind": kind, "of": of, "latent_dim": dim} | means | interval | rest)
    table = pd.DataFrame(lines, columns=COLUMNS)
    return table.sort_values(["latent_dim", "of", "remedied"], kind="stable").reset_index(drop=True)


_Levels = NDArray[np.float64]
"""The LEVELS by seed with their standard errors, ``(4, S, 2)``; NaN where the remedy's own aggregate was not
measured."""


def _levels(results: Results) -> Iterator[tuple[tuple[str, str, str, bool], int, _Levels]]:
    """Remedy, kind, label of the cell remedied and whether it repeats; latent dimension; levels paired by seed.

    Cells to remedy have the default prior, posterior and training; the objective is a remedy of the default one alone.
    """
    names = labels({cell.key: cell.manifest.config for cell in results})
    usual = settings(Cell().config())
    standard = {name.replace(".", "__"): usual[name] for changed in TREATED.values() for name in changed}
    objective = standard.pop("objective")
    for cell in results.where(**standard):
        untreated = [_frechet(cell, source) for source in ("prior", "aggregate_train")]
        for each in treatments(results, cell):
            if each.kind == "objective" and cell.settings["objective"] != objective:
                continue
            reached, own = _frechet(each.treated, each.source), _frechet(each.treated, "aggregate_train")
            by_seed = [*untreated, reached]
            seeds = sorted(set.intersection(*map(set, by_seed)))
            if seeds:
                levels = [[values.get(seed, (np.nan, np.nan)) for seed in seeds] for values in (*by_seed, own)]
                identity = each.remedy, each.kind, names[cell.key], each.repeats
                yield identity, cell.settings["latent_dim"], np.array(levels)


def _kind(untreated: StoredCell, treated: StoredCell) -> str:
    """The kinds of settings in which two cells differ, options of parts included."""

    def chosen(cell: StoredCell, names: tuple[str, ...]) -> dict[str, object]:
        return {name: value for name, value in cell.settings.items() if name in names or name.split(".")[0] in names}

    return " and ".join(kind for kind, names in TREATED.items() if chosen(untreated, names) != chosen(treated, names))


def _frechet(cell: StoredCell, source: str) -> dict[int, tuple[float, float]]:
    """Squared Fréchet distance of a source's samples to held-out images, with its standard error, by seed."""
    found = Results((cell,)).by_replicate(f"realism/{source}/squared_frechet")
    return {replicate: numbers for (_, replicate), numbers in found.items()}


def _added(untreated: str, treated: str) -> str:
    """Parts of the label ``treated`` that ``untreated`` lacks."""
    known = untreated.split(", ")
    return ", ".join(part for part in treated.split(", ") if part not in known)
