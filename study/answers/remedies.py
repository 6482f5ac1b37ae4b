r"""Remedies: the share of the prior's quality gap that each cure closes, seed by seed.

The gap is between samples of the standard prior and of its own aggregate posterior, the best that any density over
its codes can do with the decoder at hand. With F the squared Fréchet distance to held-out images,

    share = E[F(standard prior) − F(remedy)] / E[F(standard prior) − F(standard aggregate)]        (E over seeds):

0 where the remedy changes nothing, 1 where it reaches the exact aggregate, above 1 where a retrained model surpasses
it. A remedy is another prior, posterior, objective or course of training with all else equal, sampled from its own
prior, or a density fitted after training to the codes of the standard cell. Replicate r of all of them shares data
order and noise, so that numerator and denominator are paired by seed.

The interval is Fieller's (:meth:`analysis.interval.Interval.fieller`), and where the gap is not distinguishable from 0
the share is refused. Over several latent dimensions, strata with seeds of their own, the means are summed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.interval import NO_RATIO, ONE_VALUE, Interval
from study.answers.results import Results, StoredCell, settings
from study.design.cell import Cell
from study.design.labels import labels

TREATED = {
    "prior": ("prior",),
    "posterior": ("posterior",),
    "objective": ("objective",),
    "training": ("train.kl_warmup", "train.kl_cycles", "train.encoder_updates", "train.aggressive_epochs"),
}
"""Settings that a remedy may change, by kind; their defaults are what is to be remedied."""

KINDS = (*TREATED, "prior and posterior")
"""What a remedy changes, all else equal: settings of one kind, or a prior and the posterior that it needs."""

EX_POST = "ex-post density"
COLUMNS = ["remedy", "kind", "of", "latent_dim", "share", "lower", "upper", "gap", "seeds", "flag"]
POOLED = 0
"""Stands for all latent dimensions together."""

NO_GAP = "no gap to close that is distinguishable from 0"
ONE_SEED = "one seed: no interval"
_FLAGS = {"": "", NO_RATIO: NO_GAP, ONE_VALUE: ONE_SEED}
"""What the reason for which a ratio has no interval means here."""


def remedies(results: Results) -> pd.DataFrame:
    """Shares of the gap closed, best first within each latent dimension; ``results`` are those of one data set.

    Columns: ``remedy``; ``kind``, the part replaced or ``ex-post density``; ``of``, the label of the cells to remedy;
    ``latent_dim``, POOLED for all of them together where there are several; ``share`` with the ends ``lower`` and
    ``upper`` of its interval; ``gap``, the gap itself (squared Fréchet distance, mean over seeds); ``seeds``, the
    number of pairs; ``flag``, why there is no interval.
    """
    pairs: dict[tuple[str, str, str], dict[int, _Pair]] = defaultdict(dict)
    for remedy, kind, of, dim, pair in _pairs(results):
        pairs[remedy, kind, of][dim] = pair
    lines = []
    for identity, by_dim in pairs.items():
        replicated = [pair for pair in by_dim.values() if len(pair[0]) > 1]
        pooled = {POOLED: replicated} if len(replicated) > 1 else {}
        for dim, strata in (pooled | {dim: [pair] for dim, pair in by_dim.items()}).items():
            share = Interval.fieller(strata)
            gap = float(np.mean([closable.mean() for _, closable in strata]))
            lines.append((*identity, dim, share.value, share.lower, share.upper, gap, share.n, _FLAGS[share.reason]))
    table = pd.DataFrame(lines, columns=COLUMNS)
    return table.sort_values(["latent_dim", "share"], ascending=[True, False], kind="stable").reset_index(drop=True)


_Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""What a remedy gains and what there is to gain, by seed, ``(S,)`` each."""


def _pairs(results: Results) -> Iterator[tuple[str, str, str, int, _Pair]]:
    """Remedy, kind, label of the cell remedied, latent dimension, and values paired by seed."""
    names = labels({cell.key: cell.manifest.config for cell in results})
    usual = settings(Cell().config())
    standard = {name.replace(".", "__"): usual[name] for changed in TREATED.values() for name in changed}
    families = results.partition(*(name for changed in TREATED.values() for name in changed))
    for cell in results.where(**standard):
        worst, best = _frechet(cell, "prior"), _frechet(cell, "aggregate_train")
        densities = cell.group("densities")
        treatments = [
            (cell, name, EX_POST, name) for name in ([] if densities is None else densities["density"].values)
        ]
        others = next(family for family in families if cell in family.cells)
        treatments += [
            (other, _added(names[cell.key], names[other.key]), kind, "prior")
            for other in others
            if (kind := _kind(cell, other)) in KINDS
        ]
        for treated, remedy, kind, source in treatments:
            reached = _frechet(treated, source)
            seeds = sorted(worst.keys() & best.keys() & reached.keys())
            if seeds:
                gained = np.array([worst[seed] - reached[seed] for seed in seeds])
                closable = np.array([worst[seed] - best[seed] for seed in seeds])
                yield remedy, kind, names[cell.key], cell.settings["latent_dim"], (gained, closable)


def _kind(untreated: StoredCell, treated: StoredCell) -> str:
    """The kinds of settings in which two cells differ, options of parts included."""

    def chosen(cell: StoredCell, names: tuple[str, ...]) -> dict[str, object]:
        return {name: value for name, value in cell.settings.items() if name in names or name.split(".")[0] in names}

    return " and ".join(kind for kind, names in TREATED.items() if chosen(untreated, names) != chosen(treated, names))


def _frechet(cell: StoredCell, source: str) -> dict[int, float]:
    """Squared Fréchet distance of a source's samples to held-out images, by seed."""
    values = Results((cell,)).values(f"realism/{source}/squared_frechet")
    return dict(zip(values["replicate"], values["value"], strict=True))


def _added(untreated: str, treated: str) -> str:
    """What a label says that the other does not."""
    known = untreated.split(", ")
    return ", ".join(part for part in treated.split(", ") if part not in known)
