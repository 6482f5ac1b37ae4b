r"""Comparison: cells by the held-out log-likelihood of the same images, as ArviZ compares models.

elpd = Σ_i log p(x_i) over held-out images, each log p(x_i) bounded from below by importance weighting at the number K
of draws that the most of the cells have, the largest of those, and averaged over seeds. It enters ``az.compare`` as
what it is, a pointwise log predictive density on data that were not trained on: leave-one-out by Pareto smoothing
(``az.loo``) has no meaning for a VAE, whose parameters are optimised and not sampled. Standard errors and those of
differences are over images; seeds add to them what the table of every number shows. A bound that is loose for one model
and tight for another favours the latter: the gap between K and K/10 is in ``latent-study summary --var log_px*``.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping

import arviz as az
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDData

from analysis.interval import Interval
from analysis.summaries import over_seeds
from study.answers.results import Results, StoredCell
from study.design.labels import labels

SAME = ("latent", "binarisation", "image_size", "likelihood")
"""Settings in which cells must agree, beside their images, for their densities to be of the same thing."""

RANKED = ["rank", "elpd", "se", "elpd_diff", "dse", "weight", "images", "draws"]
"""elpd and its differences are sums over images, nats; weight is of stacking; draws is K."""

BESIDE = {
    "kl": "aggregate/train/kl",
    "kl_certified": "aggregate/held_out/kl_certified_aggregate",
    "frechet_prior": "realism/prior/squared_frechet",
    "frechet_aggregate": "realism/aggregate_train/squared_frechet",
}
"""Columns beside it: the mismatch, its part that held-out images certify, and samples of the prior and of its ceiling,
each a mean over seeds with the standard error of that mean as ``<name>_se``, of a single seed that of its evaluation;
and the seconds that training took."""

COLUMNS = [
    "dataset", "latent_dim", "ranking", *SAME, "model", *RANKED,
    *(name + end for name in BESIDE for end in ("", "_se")), "training_seconds",
]  # fmt: skip


def held_out(results: Results) -> pd.DataFrame:
    """Cells on the same held-out images, by latent dimension, best first; those without the bound that the others have
    are left out.

    ``rank`` counts from 0 among the cells of one ``ranking`` alone, which agree in SAME and in their held-out images;
    rankings are numbered within a data set.
    """
    names = labels({cell.key: cell.manifest.config for cell in results})
    groups: dict[tuple[str | int, ...], dict[str, StoredCell]] = defaultdict(dict)
    for cell in results:
        if _sizes(cell):
            place = cell.settings["dataset"], cell.settings["latent_dim"]
            same = (str(cell.settings.get(name)) for name in SAME)
            images = cell.manifest.images, cell.contents.sizes["importance_bounds"]["image"]
            groups[*place, *same, *images][names[cell.key]] = cell
    bounded = (_bounded_alike(groups[each]) for each in sorted(groups))
    ranked = [each for each in bounded if len(each[1]) > 1]
    if not ranked:
        return pd.DataFrame(columns=COLUMNS)
    tables = [_compared(cells, draws).assign(ranking=number) for number, (draws, cells) in enumerate(ranked, 1)]
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def _bounded_alike(cells: Mapping[str, StoredCell]) -> tuple[int, Mapping[str, StoredCell]]:
    """The number of draws at which the most of the cells have bounds, and these cells."""
    uses = Counter(size for cell in cells.values() for size in _sizes(cell))
    draws = max(uses, key=lambda size: (uses[size], size))
    return draws, {label: cell for label, cell in cells.items() if draws in _sizes(cell)}


def _compared(cells: Mapping[str, StoredCell], draws: int) -> pd.DataFrame:
    densities = {label: _elpd(cell, draws) for label, cell in cells.items()}
    table = az.compare(densities, round_to="none").rename_axis("model").reset_index()
    first = next(iter(cells.values()))
    where = {name: first.settings.get(name) for name in ("dataset", "latent_dim", *SAME)}
    images = next(iter(densities.values())).n_data_points
    beside = pd.DataFrame([_beside(cells[label]) for label in table["model"]], index=table.index)
    return table.assign(images=images, draws=draws, **where).join(beside)


def _beside(cell: StoredCell) -> dict[str, float]:
    columns: dict[str, float] = {}
    for name, estimate in BESIDE.items():
        numbers = cell.numbers(estimate)
        mean = Interval.student_t([]) if numbers is None else over_seeds(*numbers.T)
        columns |= {name: mean.value, f"{name}_se": mean.standard_error}
    seconds = cell.manifest.details.get("training_seconds")
    return columns | {"training_seconds": float(seconds) if isinstance(seconds, int | float) else math.nan}


def _elpd(cell: StoredCell, draws: int) -> ELPDData:
    """Pointwise log p(x) of held-out images, mean over seeds, with the standard error of its sum over images."""
    ((dims, bounds),) = cell.contents.values("importance_bounds", f"log_px_{draws}")
    pointwise = bounds.mean(dims.index("chain")).astype(float)
    number = len(pointwise)
    return ELPDData(
        elpd=float(pointwise.sum()),
        se=float(pointwise.std(ddof=1) * math.sqrt(number)),
        p=math.nan,
        n_samples=draws,
        n_data_points=number,
        scale="log",
        warning=False,
        good_k=math.nan,
        elpd_i=xr.DataArray(pointwise, dims="image"),
    )


def _sizes(cell: StoredCell) -> list[int]:
    """Numbers of draws at which the cell has bounds on log p(x)."""
    names = cell.contents.variables("importance_bounds") if "importance_bounds" in cell.groups else []
    return [int(name.removeprefix("log_px_")) for name in names]
