"""A study of made-up numbers, with every group that the page can show: no training, so that the page can be tested."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from study.design.cell import Cell
from study.store.manifest import Manifest
from study.store.store import MANIFEST, WEIGHTS, Store

EVIL = "<script>alert('x')</script>"
EVIL_NAME = "<img src=x onerror=alert(2)>"
"""Markup that can name a folder, as it has no slash."""

SOURCES = ["held_out", "reconstruction", "local", "aggregate_train", "prior", "gaussian_mixture"]
CHAINS, DRAWS = 3, 40


def table(rows, dim, quantities, values, flags=""):
    """A group of estimates, ``values`` by row and quantity."""
    rng = np.random.default_rng(len(quantities))
    centre = np.array([[values(row, quantity) for quantity in quantities] for row in rows], float)
    spread = 0.05 * np.abs(centre) * rng.normal(size=(CHAINS, *centre.shape))
    dims = ("chain", dim, "quantity")
    full = {"value": centre + spread, "standard_error": np.abs(spread), "n": 100, "num_draws": 64}
    texts = {"bound": "unbiased", "flags": flags}
    shape = (CHAINS, len(rows), len(quantities))
    fields = {name: (dims, np.broadcast_to(value, shape).copy()) for name, value in (full | texts).items()}
    return xr.Dataset(fields, coords={"chain": range(CHAINS), dim: rows, "quantity": quantities})


def tree(cell, flags=""):
    """Every group of one cell; distances grow with D for the prior and not for the aggregate."""
    rng = np.random.default_rng(cell.latent_dim)
    known = {"rate": 9.0, "information": 7.0, "kl": 2.0, "log_n": 7.3, "distortion": 40.0 - np.log(cell.latent_dim)}
    best = {"prior": 100.0 + cell.latent_dim, "gaussian_mixture": 60.0, "held_out": 5.0}
    draws = {name: (("chain", "draw", "split"), rng.normal(size=(CHAINS, DRAWS, 2))) for name in ("log_q", "log_p")}
    split = {"split": ["train", "held_out"]}
    side, shares = 8, np.arange(1, 10) / 10
    pixels = rng.integers(0, 256, (CHAINS, len(SOURCES), 20, 1, side, side), dtype=np.uint8)
    groups = {
        "aggregate": table(["train", "held_out"], "split", list(known), lambda _, name: known[name], flags),
        "realism": table(SOURCES, "source", ["squared_frechet"], lambda row, _: best.get(row, 50.0)),
        "densities": table(["gaussian_mixture"], "density", ["certified_gap"], lambda *_: 1.0),
        "sample_stats": xr.Dataset(draws, coords=split),
        "prior_draws": xr.Dataset(draws, coords=split),
        "shells": xr.Dataset({f"{n}_norm": (("chain", "draw"), rng.chisquare(9, (CHAINS, DRAWS)))
                              for n in ("aggregate", "prior")}),
        "calibration": xr.Dataset({name: (("chain", "rank"), np.tile(shares + shift, (CHAINS, 1)))
                                   for name, shift in (("share", 0.01), ("lower", -0.1), ("upper", 0.1))}),
        "training": xr.Dataset({"held_out_loss": (("epoch", "chain"), 40 + rng.random((5, CHAINS)))}),
        "importance_bounds": xr.Dataset({"log_px_10": (("chain", "image"), -40 + rng.normal(size=(CHAINS, 120)))}),
        "samples": xr.Dataset(
            {"pixels": (("chain", "source", "image", "channel", "height", "width"), pixels)}, coords={
                "source": SOURCES,
                "title": ("source", [f"{name}, as titled" for name in SOURCES]),
                "formula": ("source", [f"z of {name}" for name in SOURCES]),
            },
        ),
    }  # fmt: skip
    return xr.DataTree.from_dict(groups)


def publish(store, cell, content):
    store.cells.mkdir(parents=True, exist_ok=True)
    result = SimpleNamespace(tree=content, weights={"w": torch.ones(2)}, details={"engine": "none"})
    store.publish(cell, result, images="0" * 8, device="cpu", seconds=2.5, command="latent-study run made-up")


def made_up(folder, dims=(2, 32), priors=("standard_normal", "vamp"), flags=""):
    """A study folder with a cell for each."""
    store = Store(folder)
    for prior in priors:
        for dim in dims:
            cell = Cell.from_config({"latent_dim": dim, "prior": {"name": prior}, "seeds": CHAINS})
            publish(store, cell, tree(cell, flags))
    return store


@pytest.fixture(scope="session")
def content():
    """The function that makes up a cell's result."""
    return tree


@pytest.fixture(scope="session")
def make():
    """The function that makes such a study."""
    return made_up


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("results") / "made-up").root


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    """A study whose name, titles, flags, engine, command and device hold markup, and whose files still verify.

    A second cell is left out, so that the page names the study.
    """
    store = Store(tmp_path_factory.mktemp("results") / EVIL_NAME)
    cells = [Cell.from_config({"latent_dim": dim, "prior": {"name": "vamp"}, "seeds": CHAINS}) for dim in (2, 32)]
    for cell in cells:
        content = tree(cell, flags=EVIL)
        texts = {name: ("source", [EVIL] * len(SOURCES)) for name in ("title", "formula")}
        content["samples"] = content["samples"].to_dataset().assign_coords(texts)
        publish(store, cell, content)
    key = cells[0].key
    (store.folder(cells[1].key) / WEIGHTS).unlink()
    record = json.loads((store.folder(key) / MANIFEST).read_text("utf-8"))
    record |= {"command": EVIL, "device": EVIL, "details": {"engine": '"><img src=x onerror=alert(1)>'}}
    record |= {"versions": {EVIL: EVIL}, "images": EVIL}
    (store.folder(key) / MANIFEST).write_text(Manifest(**record).sealed().model_dump_json(), "utf-8")
    return store.root
