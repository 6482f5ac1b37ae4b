"""Schema: what a result must be like for answers to be read from it, group by group of :mod:`analysis.tree`.

A result is checked once, when it is loaded, so that nothing behind it need doubt dimensions or types. Groups that are
not named here, those of estimators added from outside, are held to what merging needs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import xarray as xr

from analysis.layout import ROWS
from study.store.reading import MAX_NUMBER, Corrupt


class _Group(NamedTuple):
    """Dimensions of every variable of a group, and numeric variables that must be there."""

    dims: frozenset[str]
    required: tuple[str, ...] = ()


_RECORDS = {
    "sample_stats": _Group(frozenset({"chain", "draw", "split"}), ("log_q", "log_p")),
    "prior_draws": _Group(frozenset({"chain", "draw", "split"}), ("log_q", "log_p")),
    "shells": _Group(frozenset({"chain", "draw"}), ("aggregate_norm", "prior_norm")),
    "codes": _Group(frozenset({"chain", "code"}), ("kl_standard", "log_bhattacharyya")),
    "spectrum": _Group(frozenset({"chain", "rank"}), ("eigenvalue",)),
    "subsampling": _Group(frozenset({"chain", "split", "size"}), ("kl", "standard_error")),
    "padding": _Group(frozenset({"chain", "padded_dim"}), ("kl",)),
    "decoded": _Group(frozenset({"chain", "source", "draw"}), ("log_ratio", "distance")),
    "log_likelihood": _Group(frozenset({"chain", "image"})),
    "training": _Group(frozenset({"chain", "epoch"})),
    "samples": _Group(frozenset({"chain", "source", "image", "channel", "height", "width"}), ("pixels",)),
}

LARGEST = 1e100
"""Of finite numbers: what is computed with larger ones overflows."""

_NUMBERS, _TEXTS = ("value", "standard_error", "n", "num_draws"), ("bound", "flags")

_TEXT_DIMS = {"split", "source", "density", "quantity", "covariance"}
"""Dimensions that are labelled by texts."""


def check_result(tree: xr.DataTree, replicates: int) -> None:
    """Raises :class:`Corrupt` unless every group of a cell's result, its ``tree``, is as the module says, and has that
    many ``replicates`` if it has any.
    """
    chains = set()
    for name, node in tree.children.items():
        if node.children:
            raise Corrupt(f"group {name} of its result has groups of its own")
        group = node.to_dataset()
        _check_variables(name, group)
        if name in ROWS:
            _check_estimates(name, group, ROWS[name])
        elif name in _RECORDS:
            _check_record(name, group, _RECORDS[name])
        if "chain" in group.dims:
            chains.add(group.sizes["chain"])
    if chains - {replicates}:
        found = " or ".join(map(str, sorted(chains)))
        raise Corrupt(f"the groups of its result have {found} replicates where its configuration has {replicates}")


def _check_variables(name: str, group: xr.Dataset) -> None:
    for variable, values in group.variables.items():
        if not (_is_numeric(values) or _is_text(values)):
            raise Corrupt(f"{name}/{variable} of its result holds neither numbers nor texts")
        if values.dtype == np.float64 and (np.abs(values.values[np.isfinite(values.values)]) > LARGEST).any():
            raise Corrupt(f"{name}/{variable} of its result has finite numbers beyond {LARGEST:g}")
        if _is_text(values) and not all(str(text).isprintable() for text in values.values.flat):
            raise Corrupt(f"{variable} in {name} of its result has characters that cannot be shown")
    for dim, index in group.indexes.items():
        if not index.is_unique or index.hasnans:
            raise Corrupt(f"the labels of {dim} in {name} of its result are not distinct")
        if (str(dim) in _TEXT_DIMS) != _is_text(group[dim].variable):
            raise Corrupt(f"the labels of {dim} in {name} of its result are of the wrong type")


def _check_estimates(name: str, group: xr.Dataset, rows: str) -> None:
    dims = {"chain", rows, "quantity"}
    for field in (*_NUMBERS, *_TEXTS):
        if field == "num_draws" and field not in group:
            continue
        if field not in group.data_vars or set(group[field].dims) != dims:
            raise Corrupt(f"{name} of its result has no {field} by {', '.join(sorted(dims))}")
        if not (_is_numeric if field in _NUMBERS else _is_text)(group[field].variable):
            raise Corrupt(f"{name}/{field} of its result is of the wrong type")
    if not {rows, "quantity"} <= set(group.indexes):
        raise Corrupt(f"{name} of its result does not name its {rows} and quantity")
    if (group["standard_error"].values < 0).any():
        raise Corrupt(f"{name}/standard_error of its result is negative")
    for field in {"n", "num_draws"} & set(group.data_vars):
        counts = group[field].values.astype(float)
        if not ((counts >= 0) & (counts <= MAX_NUMBER)).all():
            raise Corrupt(f"{name}/{field} of its result is no number of things")


def _check_record(name: str, group: xr.Dataset, schema: _Group) -> None:
    for variable, values in group.data_vars.items():
        if set(values.dims) != schema.dims or not _is_numeric(values.variable):
            raise Corrupt(f"{name}/{variable} of its result has not the dimensions {', '.join(sorted(schema.dims))}")
        if name == "log_likelihood" and not re.fullmatch(r"log_px_[1-9]\d{0,8}", str(variable)):
            raise Corrupt(f"{name}/{variable} of its result is no bound that is known")
    for variable in schema.required:
        if variable not in group.data_vars:
            raise Corrupt(f"{name} of its result has no {variable}")
    if "split" in schema.dims and "train" not in group.indexes.get("split", ()):
        raise Corrupt(f"{name} of its result has no split train")
    if "source" in schema.dims and "source" not in group.indexes:
        raise Corrupt(f"{name} of its result does not name its sources")
    if name == "samples":
        _check_samples(group)
    elif 0 in group.sizes.values() and group.data_vars:
        raise Corrupt(f"{name} of its result is empty")


def _check_samples(group: xr.Dataset) -> None:
    if group["pixels"].dtype != np.uint8 or group["pixels"].dims != _PIXEL_DIMS or group.sizes["channel"] not in (1, 3):
        raise Corrupt("samples/pixels of its result are no images")
    if 0 in group.sizes.values():
        raise Corrupt("samples of its result are empty")
    for text in ("title", "formula"):
        if text not in group or group[text].dims != ("source",) or not _is_text(group[text].variable):
            raise Corrupt(f"samples of its result have no {text} by source")


_PIXEL_DIMS = ("chain", "source", "image", "channel", "height", "width")


def _is_numeric(values: xr.Variable) -> bool:
    return bool(values.dtype.kind in "fiub")


def _is_text(values: xr.Variable) -> bool:
    if values.dtype.kind == "O":
        return all(isinstance(item, str) for item in values.values.flat)
    return bool(values.dtype.kind in "UT")
