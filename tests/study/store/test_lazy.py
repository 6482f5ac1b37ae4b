"""Loading many cells: the values are those of cells merged in memory, and neither arrays nor files are held."""

import gc
import os
import resource
import tracemalloc

import numpy as np
import pytest
import xarray as xr

from study.design.cell import Cell
from study.errors import DataError
from study.store import lazy
from study.store.merge import merge
from study.store.result import CellResult
from study.store.store import RESULT, Store

NUMBER = 12
"""Cells of a store of which each has a tree of its own."""


@pytest.fixture(autouse=True)
def nothing_held():
    lazy._merged.cache_clear()
    yield
    lazy._merged.cache_clear()


def put(store, cell, groups):
    store.cells.mkdir(parents=True, exist_ok=True)
    result = CellResult(xr.DataTree.from_dict(groups), {"w": np.zeros(2, np.float32)}, {})
    store.publish(cell, result, images="abc", device="cpu", seconds=1.0, command="run it")


def groups(dim, *, extra):
    """Arrays of every type that a result has, one with a dimension as long as the latent one."""
    coords = {"chain": [0, 1], "quantity": ["kl", "rate"]}
    table = {
        "value": (("chain", "quantity"), dim + np.arange(4.0).reshape(2, 2)),
        "n": (("chain", "quantity"), np.full((2, 2), dim)),
        "flags": (("chain", "quantity"), np.array([["", "σ"], ["noted", ""]])),
    }
    active = {"active": (("chain", "latent"), np.ones((2, dim), np.uint8))}
    found = {"aggregate": xr.Dataset(table, coords), "latents": xr.Dataset(active)}
    return found | ({"norms": xr.Dataset({"norm": ("chain", np.float32([dim, 1.5]))})} if extra else {})


@pytest.fixture
def store(tmp_path):
    """Two trees: one of three latent dimensions, of which one lacks a group; and one of a single cell."""
    made = Store(tmp_path / "made")
    for prior, dim in (("standard_normal", 2), ("standard_normal", 16), ("standard_normal", 4), ("vamp", 8)):
        put(made, Cell.from_config({"prior": prior, "latent_dim": dim}), groups(dim, extra=dim != 4))
    return made


def eager(store):
    whole = store.survey()[0]
    return merge({key: (manifest.config, store.read(key)) for key, manifest in whole.items()})


def large(store, size):
    """Fills a store with cells of so many bytes each."""
    for number in range(NUMBER):
        pixels = xr.Dataset({"x": (("image", "place"), np.full((64, size // 512), float(number)))})
        put(store, Cell.from_config({"latent_dim": 2, "beta": 1.0 + number}), {"big": pixels})
    return store


def test_values_types_and_labels_are_those_of_cells_merged_in_memory(store):
    found, expected = store.load(), eager(store)
    assert list(found) == list(expected)
    for label, tree in expected.items():
        assert list(found[label].groups) == list(tree.groups)
        for path, group in tree.to_dict().items():
            same = found[label][path].to_dataset()
            assert {n: (v.dims, v.dtype, v.shape) for n, v in same.variables.items()} == {
                n: (v.dims, v.dtype, v.shape) for n, v in group.variables.items()
            }
        assert found[label].load().identical(tree)


@pytest.mark.parametrize(
    "key",
    [
        {"latent_dim": 4},
        {"latent_dim": [16, 2], "quantity": ["rate"]},
        {"latent_dim": slice(4, None), "chain": 1},
        {"chain": xr.DataArray([0, 1], dims="pair"), "quantity": xr.DataArray(["kl", "rate"], dims="pair")},
    ],
    ids=str,
)
def test_what_is_chosen_is_what_would_be_of_arrays_in_memory(store, key):
    found, expected = (trees["standard_normal"]["aggregate/value"] for trees in (store.load(), eager(store)))
    assert found.sel(key).identical(expected.sel(key))
    assert (found.sel(key) * 2).mean().values == (expected.sel(key) * 2).mean().values


def test_memory_does_not_grow_with_arrays_and_no_file_stays_open(tmp_path):
    size = 2**21
    store = large(Store(tmp_path / "made"), size)
    large(Store(tmp_path / "first"), 512).load()  # what is imported and compiled meanwhile
    files = len(os.listdir("/proc/self/fd"))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files + NUMBER // 2, limits[1]))
    tracemalloc.start()
    try:
        trees = store.load()
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
        sums = [float(tree["big/x"].sum()) for tree in trees.values()]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(trees) == NUMBER
    assert sorted(sums) == [number * size / 8 for number in range(NUMBER)]
    assert held < size
    assert peak < 5 * size < NUMBER * size
    assert after < 2 * size, "more than the group that was read last is held"
    assert len(os.listdir("/proc/self/fd")) <= files  # fewer, where what earlier tests left open was collected


def test_a_result_that_changes_afterwards_is_refused(store):
    trees = store.load()
    (key,) = (key for key, manifest in store.survey()[0].items() if manifest.config["prior"]["name"] == "vamp")
    path = store.folder(key) / RESULT
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DataError, match="has changed since it was loaded"):
        trees["vamp"]["aggregate/value"].load()
    path.write_bytes(data)
    assert trees["vamp"]["aggregate/value"].load().shape == (1, 2, 2)
    assert trees["standard_normal"]["aggregate/value"].load().shape == (3, 2, 2)


def test_only_the_group_that_is_asked_for_is_read_and_once(store, monkeypatch):
    trees = store.load()
    read = []
    real = lazy.Member.group
    monkeypatch.setattr(lazy.Member, "group", lambda self, path: (read.append(path), real(self, path))[1])
    monkeypatch.setattr(lazy.Member, "groups", lambda self: pytest.fail("a whole result is read"))
    aggregate = trees["standard_normal"]["aggregate"]
    assert aggregate["value"].sum() > 0
    assert aggregate["n"].sum() > 0
    assert read == ["/aggregate"] * 3
