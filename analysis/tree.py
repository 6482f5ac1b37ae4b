"""Tree: measurements of a cell's replicates as an ArviZ DataTree. With ``summaries`` and ``plots``, what knows xarray.

    posterior      per-draw integrands in nats, dims (chain, draw, split): a mean over draws is the estimate, so that
                   ``az.summary`` gives mean, interval and Monte Carlo error of each quantity
    sample_stats   log-densities of the same draws
    aggregate      every estimate, dims (chain, split, quantity): value, standard_error, n, num_draws, bound, flags
    realism        likewise of samples, dims (chain, source, quantity)
    densities      likewise of densities fitted to codes, dims (chain, density, quantity)
    importance_bounds  importance-weighted bounds on log p(x) of held-out images, dims (chain, image); no draws of
                   log p(x|z), which ArviZ's LOO would need: images share no parameters that a fold could leave out
    mixtures       Gaussian mixtures fitted to codes, dims (chain, covariance, components)
    training       curves, dims (chain, epoch)
    constant_data  the image behind each draw
    prior_draws    log_q, log_p of draws of the prior, dims (chain, draw, split), nats
    shells         aggregate_norm, prior_norm: ‖z‖ of draws of the training aggregate and of the prior, (chain, draw)
    codes          of single training images, (chain, code): mean_norm ‖μ‖, and overlap of the bubble with N(0, I):
                   kl_standard (nats), log_bhattacharyya (nats), unit_total_variation (at σ = 1)
    spectrum       eigenvalue of the exact covariance of the training aggregate, descending, (chain, rank)
    subsampling    kl and standard_error of KL(q_S ‖ p) over subsets S of ``size`` images, (chain, split, size), nats
    calibration    share of simulated z with at most a rank among draws of q(z|x), in the least uniform dimension, and
                   lower and upper end of the band that uniform ranks keep to, (chain, rank)
    padding        with inert dimensions appended up to ``padded_dim``, (chain, padded_dim): kl, information,
                   total_variation, and shell_thickness sd‖z‖/E‖z‖
    decoded        of single decoded draws, (chain, source, draw): log_ratio log q_N − log p of the latent (nats) and
                   distance of the image to the nearest real one in feature space
    displacements  of draws of the training aggregate displaced by δ, (chain, displacement): lost (squared Fréchet
                   distance), gain E‖J(z) δ‖² and step E‖g(z + δ) − g(z)‖² (squared pixel values), nats ½ δᵀC⁻¹δ,
                   squared_norm ‖δ‖², with the ``direction`` of each
    samples        pixels, uint8 0…255, (chain, source, image, channel, height, width): the first of each source, with
                   ``title`` and ``formula`` of each (source)

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
SCHEMA_VERSION = 3

MEANING = {
    "chain": "training seed: an independent training of the same configuration, not a Markov chain",
    "draw": "evaluation draw: independent given the trained replicate",
    "r_hat": "seed disagreement",
}
"""Attributes of groups of draws."""


@dataclass(frozen=True, slots=True)
class Records:
    """Arrays of one group of one replicate.

    variables: dimensions and values, by name.
    coords: labels of dimensions, by dimension.
    notes: further texts along a dimension, by name, such as what each source is called.
    """

    variables: Mapping[str, tuple[tuple[str, ...], Tensor]]
    coords: Mapping[str, Sequence[object]] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)


Rows = Mapping[str, Mapping[str, Estimate]]
"""Estimates by row (a split, a source of samples, a fitted density), then by quantity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One replicate.

    tables: estimates by group, row and quantity.
    mixtures: Gaussian mixtures fitted to codes.
    records: arrays by group.
    """

    tables: Mapping[str, Rows]
    mixtures: Sequence[Candidate]
    records: Mapping[str, Records]


def build_tree(
    replicates: Sequence[Measured], curves: Mapping[str, Sequence[Sequence[float]]], attrs: Mapping[str, Any]
) -> xr.DataTree:
    """The tree of one cell.

    Args:
        replicates: measurements of each training seed, S of them.
        curves: training curves by name, ``(E, S)``: per epoch and replicate.
        attrs: attributes of the root.
    """
    first = replicates[0]
    groups = {
        **{name: _records([m.records[name] for m in replicates]) for name in first.records},
        **{name: _estimates([m.tables[name] for m in replicates], ROWS[name]) for name in first.tables},
        "mixtures": _mixtures(replicates),
        "training": _curves(curves),
    }
    root = xr.Dataset(attrs={"schema_version": SCHEMA_VERSION, **attrs})
    return xr.DataTree.from_dict({"/": root} | {f"/{name}": dataset for name, dataset in groups.items()})


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


def _records(replicates: Sequence[Records]) -> xr.Dataset:
    first = replicates[0]
    variables = {
        name: (("chain", *dims), np.stack([r.variables[name][1].cpu().numpy() for r in replicates]))
        for name, (dims, _) in first.variables.items()
    }
    notes = {name: (dim, list(texts)) for name, (dim, texts) in first.notes.items()}
    dataset = _indexed(variables, **first.coords).assign_coords(notes)
    return dataset.assign_attrs(MEANING) if "draw" in dataset.dims else dataset


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
