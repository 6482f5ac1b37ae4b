"""Tree: measurements of a cell's replicates as an ArviZ DataTree, laid out as :mod:`analysis.layout` says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from analysis.estimate import Estimate
from analysis.layout import ROWS, SCHEMA_VERSION, UNDEFINED
from analysis.mixtures import Candidate

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
    texts = {name: np.array(values, np.str_) for name, values in ((rows, labels), ("quantity", quantities))}
    return _indexed(variables, **texts).assign_coords(texts)  # without any, where all of them are left out, too


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
    if not replicates[0].mixtures:
        return xr.Dataset()
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
