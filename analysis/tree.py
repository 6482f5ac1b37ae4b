"""Tree: measurements of a cell's replicates as an ArviZ DataTree. With ``summaries`` and ``plots``, what knows xarray.

    posterior      per-draw integrands in nats, dims (chain, draw, split): a mean over draws is the estimate, so that
                   ``az.summary`` gives mean, interval and Monte Carlo error of each quantity
    sample_stats   log-densities of the same draws
    aggregate      every estimate, dims (chain, split, quantity): value, standard_error, n, num_draws, bound, flags
    realism        likewise of samples, dims (chain, source, quantity)
    densities      likewise of densities fitted to codes, dims (chain, density, quantity)
    log_likelihood importance-weighted bounds on log p(x) of held-out images, dims (chain, image)
    mixtures       Gaussian mixtures fitted to codes, dims (chain, covariance, components)
    training       curves, dims (chain, epoch)
    constant_data  the image behind each draw
    prior_draws    log_q, log_p of draws of the prior, dims (chain, draw, split), nats
    shells         aggregate_norm, prior_norm: ‖z‖ of draws of the training aggregate and of the prior, (chain, draw)
    codes          of single training images, (chain, code): mean_norm ‖μ‖, and overlap of the bubble with N(0, I):
                   kl_standard (nats), log_bhattacharyya (nats), unit_total_variation (at σ = 1)
    spectrum       eigenvalue of the exact covariance of the training aggregate, descending, (chain, rank)
    subsampling    kl and standard_error of KL(q_S ‖ p) over subsets S of ``size`` images, (chain, split, size), nats
    padding        with inert dimensions appended up to ``padded_dim``, (chain, padded_dim): kl, information,
                   total_variation, and shell_thickness sd‖z‖/E‖z‖
    decoded        of single decoded draws, (chain, source, draw): log_ratio log q_N − log p of the latent (nats) and
                   distance of the image to the nearest real one in feature space
    samples        pixels, uint8 0…255, (chain, source, image, channel, height, width): the first of each source

``chain`` is the training seed: replicates are independent trainings and not Markov chains, so ArviZ's ``r_hat``
measures how far seeds disagree. ``draw`` is an independent evaluation draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from analysis.estimate import Estimate
from analysis.mixtures import Candidate

SPLITS = ("train", "held_out")
ROWS = {"aggregate": "split", "realism": "source", "densities": "density"}
"""Groups of estimates, and what their rows are."""

UNDEFINED = "not defined here"
SCHEMA_VERSION = 2

CHAIN_MEANS = "training seed: an independent training of the same configuration, not a Markov chain"
DRAW_MEANS = "evaluation draw: independent given the trained replicate"


@dataclass(frozen=True, slots=True)
class Records:
    """Arrays of one group of one replicate: dimensions and values by name, and the labels of some dimensions."""

    variables: Mapping[str, tuple[tuple[str, ...], Tensor]]
    coords: Mapping[str, Sequence[object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """One replicate. Integrands, densities and image indices are keyed by split, then by name; arrays are ``(M,)``.

    overall: integrands that belong to no split, ``(M,)`` each.
    tables: further estimates, keyed by group, then by row (a source of samples, a fitted density), then by quantity.
    per_image: log-densities of held-out images, ``(images,)`` each, by name.
    records: further groups of arrays, by name.
    """

    integrands: Mapping[str, Mapping[str, Tensor]]
    densities: Mapping[str, Mapping[str, Tensor]]
    images: Mapping[str, Tensor]
    overall: Mapping[str, Tensor]
    estimates: Mapping[str, Mapping[str, Estimate]]
    mixtures: Sequence[Candidate]
    tables: Mapping[str, Mapping[str, Mapping[str, Estimate]]] = field(default_factory=dict)
    per_image: Mapping[str, Tensor] = field(default_factory=dict)
    records: Mapping[str, Records] = field(default_factory=dict)


def build_tree(
    replicates: Sequence[Measured], curves: Mapping[str, Sequence[Sequence[float]]], attrs: Mapping[str, Any]
) -> xr.DataTree:
    """The tree of one cell; ``curves`` are per epoch and replicate, ``(E, S)``; ``attrs`` go to the root."""
    meaning = {"chain": CHAIN_MEANS, "draw": DRAW_MEANS, "r_hat": "seed disagreement"}
    groups = {
        "posterior": _by_draw([m.integrands for m in replicates])
        .merge(_without_split(replicates))
        .assign_attrs(meaning),
        "sample_stats": _by_draw([m.densities for m in replicates]).assign_attrs(meaning),
        "aggregate": _estimates([m.estimates for m in replicates], "split"),
        **{
            name: _estimates([m.tables[name] for m in replicates], ROWS[name])
            for name in replicates[0].tables
            if replicates[0].tables[name]
        },
        "mixtures": _mixtures(replicates),
        "training": _curves(curves),
        "log_likelihood": _per_image(replicates),
        "constant_data": _by_draw([{split: {"image": index} for split, index in m.images.items()} for m in replicates]),
        **{name: _records([m.records[name] for m in replicates]) for name in replicates[0].records},
    }
    root = xr.Dataset(attrs={"schema_version": SCHEMA_VERSION, **attrs})
    return xr.DataTree.from_dict({"/": root} | {f"/{name}": dataset for name, dataset in groups.items()})


def _by_draw(replicates: Sequence[Mapping[str, Mapping[str, Tensor]]]) -> xr.Dataset:
    names = replicates[0][SPLITS[0]]
    stacked = {
        name: np.stack([np.stack([m[split][name].cpu().numpy() for split in SPLITS], -1) for m in replicates])
        for name in names
    }
    return _indexed({name: (("chain", "draw", "split"), values) for name, values in stacked.items()}, split=SPLITS)


def _without_split(replicates: Sequence[Measured]) -> xr.Dataset:
    names = replicates[0].overall
    return _indexed({n: (("chain", "draw"), np.stack([m.overall[n].cpu().numpy() for m in replicates])) for n in names})


def _estimates(replicates: Sequence[Mapping[str, Mapping[str, Estimate]]], rows: str) -> xr.Dataset:
    """Estimates by row and quantity, dims (chain, ``rows``, quantity); what a row does not define is refused."""
    labels = list(dict.fromkeys(label for table in replicates for label in table))
    quantities = list(dict.fromkeys(q for table in replicates for row in table.values() for q in row))
    absent = Estimate.refused(UNDEFINED)

    def column(get: Any, dtype: Any) -> tuple[tuple[str, ...], np.ndarray]:
        values = [[[get(table[label].get(q, absent)) for q in quantities] for label in labels] for table in replicates]
        return ("chain", rows, "quantity"), np.array(values, dtype=dtype)

    variables = {
        "value": column(lambda e: e.value, float),
        "standard_error": column(lambda e: e.standard_error, float),
        "n": column(lambda e: e.n, np.int64),
        "num_draws": column(lambda e: e.num_draws, np.int64),
        "bound": column(lambda e: e.bound, np.str_),
        "flags": column(lambda e: "; ".join(e.flags), np.str_),
    }
    return _indexed(variables, **{rows: labels, "quantity": quantities})


def _per_image(replicates: Sequence[Measured]) -> xr.Dataset:
    names = replicates[0].per_image
    stacked = {n: np.stack([m.per_image[n].cpu().numpy() for m in replicates]) for n in names}
    return _indexed({name: (("chain", "image"), values) for name, values in stacked.items()})


def _records(replicates: Sequence[Records]) -> xr.Dataset:
    first = replicates[0]
    variables = {
        name: (("chain", *dims), np.stack([r.variables[name][1].cpu().numpy() for r in replicates]))
        for name, (dims, _) in first.variables.items()
    }
    return _indexed(variables, **first.coords)


def _mixtures(replicates: Sequence[Measured]) -> xr.Dataset:
    rows = [{(c.covariance, c.num_components): c for c in m.mixtures} for m in replicates]
    covariances = list(dict.fromkeys(kind for kind, _ in rows[0]))
    components = sorted({number for _, number in rows[0]})

    def field(get: Any, dtype: Any) -> tuple[tuple[str, ...], np.ndarray]:
        table = [[[get(row[kind, k]) for k in components] for kind in covariances] for row in rows]
        return ("chain", "covariance", "components"), np.array(table, dtype=dtype)

    variables = {
        "bic": field(lambda c: c.bic, float),
        "train_log_density": field(lambda c: c.train.value, float),
        "held_out_log_density": field(lambda c: c.held_out.value, float),
        "held_out_standard_error": field(lambda c: c.held_out.standard_error, float),
        "flags": field(lambda c: "; ".join(c.held_out.flags), np.str_),
    }
    return _indexed(variables, covariance=covariances, components=components)


def _curves(curves: Mapping[str, Sequence[Sequence[float]]]) -> xr.Dataset:
    return _indexed({name: (("epoch", "chain"), np.array(values)) for name, values in curves.items()})


def _indexed(variables: Mapping[str, Any], **coords: Any) -> xr.Dataset:
    """A dataset with integer indices for the dimensions that ``coords`` does not label."""
    dataset = xr.Dataset(dict(variables), coords={name: list(values) for name, values in coords.items()})
    missing = {str(dim): np.arange(size) for dim, size in dataset.sizes.items() if dim not in dataset.coords}
    return dataset.assign_coords(missing)
