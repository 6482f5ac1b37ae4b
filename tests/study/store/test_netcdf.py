"""Reading of netCDF: the same tree, type for type, as xarray's own way reads, whether or not it takes the short one."""

import os
import signal
import threading

import numpy as np
import pytest
import xarray as xr

from study.errors import DataError
from study.store import netcdf
from study.store.netcdf import tree
from study.store.reading import Corrupt
from study.store.result import CellResult, write_result

DRAWS = {"rate": (("chain", "draw"), np.array([[1.0, np.nan], [np.inf, -0.0]]))}

PLAIN = {
    "numbers": xr.Dataset(DRAWS, {"chain": [3, 4]}, {"method": "exact", "n": 3, "list": [1.5, 2.5]}),
    "single precision": xr.Dataset({"x": (("rank",), np.ones(3, np.float32))}),
    "whole numbers": xr.Dataset({"n": (("chain",), np.arange(3)), "k": (("chain",), np.arange(3, dtype=np.uint8))}),
    "texts": xr.Dataset({"flags": (("chain", "split"), np.array([["σ", ""]], object))}, {"split": ["train", "all"]}),
    "no texts": xr.Dataset({"flags": (("chain", "split"), np.zeros((2, 0), object))}),
    "coordinates that are no index": xr.Dataset(
        {"pixels": (("source", "x"), np.zeros((1, 2), np.uint8))},
        {"source": ["prior"], "title": ("source", ["draws of the prior"]), "formula": ("source", ["z ~ p"])},
    ),
    "one number": xr.Dataset({"x": 3.0, "name": "a"}),
    "an empty dimension": xr.Dataset({"x": (("chain", "draw"), np.zeros((2, 0)))}),
    "nothing": xr.Dataset(),
}  # fmt: skip

DECODED = {
    "truth values": xr.Dataset({"inside": (("chain",), np.array([True, False]))}),
    "units": xr.Dataset({"x": (("chain",), np.ones(2), {"units": "nats"})}),
    "a coordinate that nothing names": xr.Dataset({}, {"place": 3.0}),
}


def by_xarray(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(netcdf, "_plain", lambda dataset: None)
        return tree(path)


def assert_alike(path, monkeypatch, *, short):
    expected = by_xarray(path, monkeypatch)
    with monkeypatch.context() as patch:
        if short:
            patch.setattr(netcdf.xr, "open_datatree", lambda *_, **__: pytest.fail("it was read the long way"))
        found = tree(path)
    assert found.identical(expected)
    for node in expected.subtree:
        for name, variable in node.to_dataset(inherit=False).variables.items():
            assert found[node.path].to_dataset(inherit=False).variables[name].dtype == variable.dtype, name
    assert {node.path: set(node.coords) for node in found.subtree} == {
        node.path: set(node.coords) for node in expected.subtree
    }


@pytest.mark.parametrize("group", PLAIN)
def test_what_is_stored_as_it_is_comes_back_as_xarray_reads_it(tmp_path, monkeypatch, group):
    whole = xr.DataTree.from_dict(
        {"/": xr.Dataset(attrs={"dataset": "digits"}), "some": PLAIN[group], "other": PLAIN["texts"]}
    )
    whole.to_netcdf(tmp_path / "result.nc", engine="netcdf4")
    assert_alike(tmp_path / "result.nc", monkeypatch, short=True)


@pytest.mark.parametrize("group", DECODED)
def test_what_xarray_decodes_is_left_to_it(tmp_path, monkeypatch, group):
    xr.DataTree.from_dict({"some": DECODED[group]}).to_netcdf(tmp_path / "result.nc", engine="netcdf4")
    assert_alike(tmp_path / "result.nc", monkeypatch, short=False)


@pytest.mark.parametrize(
    "encoding", [{"_FillValue": -1.0}, {"scale_factor": 0.5}, {"dtype": "int16", "_FillValue": -1}, {"zlib": True}]
)
def test_encoded_arrays_are_decoded(tmp_path, monkeypatch, encoding):
    whole = xr.DataTree.from_dict({"/some": xr.Dataset({"x": (("chain",), np.array([1.0, np.nan, -1.0]))})})
    whole.to_netcdf(tmp_path / "result.nc", engine="netcdf4", encoding={"/some": {"x": encoding}})
    assert_alike(tmp_path / "result.nc", monkeypatch, short=False)


def test_characters_and_groups_within_groups_are_left_to_xarray(tmp_path, monkeypatch):
    texts = xr.Dataset({"flags": (("chain",), np.array(["a", "bcd"], object))})
    whole = xr.DataTree.from_dict({"/some": texts})
    whole.to_netcdf(tmp_path / "result.nc", engine="netcdf4", encoding={"/some": {"flags": {"dtype": "S1"}}})
    assert_alike(tmp_path / "result.nc", monkeypatch, short=False)
    xr.DataTree.from_dict({"/a/b": PLAIN["numbers"]}).to_netcdf(tmp_path / "nested.nc", engine="netcdf4")
    assert_alike(tmp_path / "nested.nc", monkeypatch, short=False)


@pytest.mark.parametrize("read", [tree, lambda path: netcdf.group_of(path, "some")])
def test_a_file_that_is_never_read_to_its_end_ends_in_a_sentence(tmp_path, monkeypatch, read):
    """HDF5 follows some damaged files for ever."""
    xr.DataTree.from_dict({"some": xr.Dataset(DRAWS)}).to_netcdf(tmp_path / "result.nc")
    released = threading.Event()
    monkeypatch.setattr(netcdf, "LEAST_SECONDS", 0.05)
    monkeypatch.setattr(netcdf.netCDF4, "Dataset", lambda place: released.wait(20) and pytest.fail("too late"))
    with pytest.raises(DataError, match=r"result\.nc was not read to its end in 0 s: .* move .* away"):
        read(tmp_path / "result.nc")
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    released.set()


def test_what_is_wrong_with_a_file_is_said_from_the_thread_that_reads_it(tmp_path):
    (tmp_path / "result.nc").write_bytes(b"none")
    with pytest.raises(Corrupt, match=r"result\.nc is not readable"):
        tree(tmp_path / "result.nc")


def test_a_disk_that_is_full_is_an_error_of_the_system(tmp_path, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("NetCDF: HDF error")

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    with pytest.raises(OSError, match="the netCDF library reports: NetCDF: HDF error"):
        write_result(CellResult(xr.DataTree(), {}, {}), tmp_path / "result.nc", tmp_path / "weights.safetensors")


def test_a_read_that_does_not_end_hears_ctrl_c_and_the_next_file_is_read(tmp_path, monkeypatch):
    xr.DataTree.from_dict({"some": xr.Dataset(DRAWS)}).to_netcdf(tmp_path / "result.nc")
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    released = threading.Event()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    with monkeypatch.context() as patch:
        patch.setattr(netcdf.netCDF4, "Dataset", lambda place: released.wait(20) and pytest.fail("too late"))
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            tree(tmp_path / "result.nc")
        signal.signal(signal.SIGINT, before)
        patch.setattr(netcdf, "LEAST_SECONDS", 0.05)
        with pytest.raises(DataError):
            tree(tmp_path / "result.nc")
    assert set(tree(tmp_path / "result.nc").children) == {"some"}
    released.set()
