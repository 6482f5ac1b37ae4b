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
    trees = {}
    for label, keys in by_label({key: config for key, (config, _) in cells.items()}).items():
        of_cells = {dim: cells[key][1].to_dict() for dim, key in keys.items()}
        trees[label] = xr.DataTree.from_dict(along_latent_dim(of_cells))
    return trees


def by_label(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[int, str]]:
    """Keys of the cells of each tree by their latent dimensions, in increasing order of these, by label.

    configs: of the cells, by key.
    """
    members: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for key, label in labels(configs).items():
        members[label].append((latent_dim(configs[key]), key))
    return {label: dict(sorted(members[label])) for label in sorted(members)}


def along_latent_dim(cells: Mapping[int, Mapping[str, xr.Dataset]]) -> dict[str, xr.Dataset]:
    """The groups, by path, of cells that differ in the latent dimension alone.

    cells: groups of each by path, by latent dimension in increasing order.
    """
    groups: dict[str, dict[int, xr.Dataset]] = defaultdict(dict)
    for dim, datasets in cells.items():
        for path, dataset in datasets.items():
            groups[path][dim] = dataset
    return {path: joined(datasets, list(cells)) for path, datasets in groups.items()}


def _indexed(dataset: xr.Dataset) -> xr.Dataset:
    """``dataset`` with every dimension numbered that has no index, so that lengths may differ among the joined."""
    return dataset.assign_coords({n: np.arange(size) for n, size in dataset.sizes.items() if n not in dataset.indexes})


def joined(datasets: Mapping[int, xr.Dataset], dims: Sequence[int]) -> xr.Dataset:
    """A group of cells with the dimension ``latent_dim``.

    datasets: the group of each cell that has it, by latent dimension.
    dims: latent dimensions of all cells.
    """
    whole: xr.Dataset = xr.concat(
        map(_indexed, datasets.values()),
        xr.DataArray(list(datasets), dims="latent_dim", name="latent_dim"),
        data_vars="all",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="drop_conflicts",
    )
    return whole.reindex(latent_dim=dims) if whole.data_vars else whole.drop_vars("latent_dim", errors="ignore")
