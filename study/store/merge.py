"""Merge: cells that differ only in the latent dimension D, as one DataTree with dimension ``latent_dim``.

Cells that differ in anything else stay in trees of their own, so nothing is silently averaged or mixed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from study.design.labels import labels, latent_dim


def merge(cells: Mapping[str, tuple[Mapping[str, Any], xr.DataTree]]) -> dict[str, xr.DataTree]:
    """One tree per label of the (configuration, tree) pairs, sorted by label; groups are joined along ``latent_dim``.

    Where cells lack a group, a variable or an index that others have (a latent dimension's own index, say), the values
    are missing (NaN).
    """
    members: dict[str, list[tuple[int, xr.DataTree]]] = defaultdict(list)
    for key, label in labels({key: config for key, (config, _) in cells.items()}).items():
        config, tree = cells[key]
        members[label].append((latent_dim(config), tree))
    return {label: _along_latent_dim(sorted(members[label], key=lambda pair: pair[0])) for label in sorted(members)}


def _along_latent_dim(members: Sequence[tuple[int, xr.DataTree]]) -> xr.DataTree:
    dims = [dim for dim, _ in members]
    groups: dict[str, dict[int, xr.Dataset]] = defaultdict(dict)
    for dim, tree in members:
        for path, dataset in tree.to_dict().items():
            groups[path][dim] = _indexed(dataset)
    return xr.DataTree.from_dict({path: _joined(datasets, dims) for path, datasets in groups.items()})


def _indexed(dataset: xr.Dataset) -> xr.Dataset:
    """``dataset`` with every dimension numbered that has no index, so that lengths may differ among the joined."""
    return dataset.assign_coords({n: np.arange(size) for n, size in dataset.sizes.items() if n not in dataset.indexes})


def _joined(datasets: Mapping[int, xr.Dataset], dims: Sequence[int]) -> xr.Dataset:
    joined: xr.Dataset = xr.concat(
        datasets.values(),
        xr.DataArray(list(datasets), dims="latent_dim", name="latent_dim"),
        data_vars="all",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="drop_conflicts",
    )
    return joined.reindex(latent_dim=dims) if joined.data_vars else joined.drop_vars("latent_dim", errors="ignore")
