"""Blocks: every kind of group comes back as it was, type for type."""

import numpy as np
import pytest
import xarray as xr

from study.store.block import Block, encoded

GROUPS = {
    "numbers": xr.Dataset(
        {"rate": (("chain", "draw"), np.array([[1.0, np.nan], [np.inf, -0.0]]))}, {"chain": [3, 4]}, {"method": "exact"}
    ),
    "single precision and bytes": xr.Dataset(
        {"x": (("rank",), np.ones(3, np.float32)), "k": (("rank",), np.arange(3, dtype=np.uint8))}
    ),
    "the other byte order": xr.Dataset({"x": (("rank",), np.arange(3.0).astype(">f8"))}),
    "truth values": xr.Dataset({"inside": (("chain",), np.array([True, False]))}),
    "texts": xr.Dataset({"flags": (("chain", "split"), np.array([["σ", ""]]))}, {"split": ["train", "held_out"]}),
    "texts that are objects": xr.Dataset({"flags": (("chain",), np.array(["σ", "", "σ"], object))}),
    "many texts": xr.Dataset({"flags": (("chain",), np.array([str(number) for number in range(300)]))}),
    "a label that is no index": xr.Dataset({}, {"source": ["prior"], "title": ("source", ["draws of the prior"])}),
    "one number": xr.Dataset({"x": 3.0, "name": "a"}),
    "an empty dimension": xr.Dataset({"x": (("chain", "draw"), np.zeros((2, 0))), "t": (("draw",), np.zeros(0, "U3"))}),
    "nothing": xr.Dataset(),
}  # fmt: skip

REFUSED = {
    "an attribute that is no text": xr.Dataset(attrs={"n": 3}),
    "a variable with attributes": xr.Dataset({"x": (("chain",), np.ones(2), {"units": "nats"})}),
    "complex numbers": xr.Dataset({"x": 1j}),
    "objects": xr.Dataset({"x": (("chain",), np.array([{}, ()], object))}),
}


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_read_is_what_was_written(group):
    block = Block(encoded(GROUPS[group]))
    found = block.dataset()
    assert found.identical(GROUPS[group])
    assert set(found.coords) == set(GROUPS[group].coords)
    assert set(block.variables()) == set(GROUPS[group].data_vars)
    for name, variable in GROUPS[group].variables.items():
        assert found[name].dtype == variable.dtype.newbyteorder("="), name
        dims, values = block.values(name)
        assert dims == variable.dims
        assert np.array_equal(values, variable.values, equal_nan=variable.dtype.kind == "f")


@pytest.mark.parametrize("group", REFUSED)
def test_what_a_block_cannot_hold_is_refused(group):
    assert encoded(REFUSED[group]) is None


def test_a_variable_that_is_not_there_is_no_variable():
    with pytest.raises(KeyError):
        Block(encoded(GROUPS["numbers"])).values("distortion")
