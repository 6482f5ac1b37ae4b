"""Finished cells, asked by setting, quantity and control."""

import math
import shutil

import numpy as np
import pytest
import torch
import xarray as xr

from study.answers.results import Results
from study.design.cell import Cell
from study.design.study import Study
from study.run.experiment import load_images, new_replicate
from study.run.reload import trained_vae
from study.store.result import CellResult
from study.store.store import Store

DIMS = ("chain", "split", "quantity")


def estimates(seeds, **values):
    """A group ``aggregate`` whose row ``train`` has these values, the same for every seed or one for each."""
    columns = np.stack([np.broadcast_to(np.asarray(value, dtype=float), seeds) for value in values.values()], -1)
    table = columns[:, None, :]
    fields = {"value": table, "standard_error": table / 10, "n": np.full(table.shape, 50)}
    texts = {"bound": np.full(table.shape, "unbiased"), "flags": np.full(table.shape, "noted")}
    coords = {"chain": range(seeds), "split": ["train"], "quantity": list(values)}
    return xr.Dataset({name: (DIMS, value) for name, value in (fields | texts).items()}, coords)


@pytest.fixture
def keep(tmp_path):
    """Stores the cells of overrides on the smoke study, with a value that tells them apart, and loads all there are."""

    def stored(*assignments, study="made", **values):
        store = Store(tmp_path / study)
        for cell in Study.load("smoke").override(assignments).cells():
            found = values or {"kl": cell.latent_dim}
            result = type("Result", (), {
                "tree": xr.DataTree.from_dict({"aggregate": estimates(cell.seeds, **found)}),
                "weights": {"0/w": torch.ones(1)}, "details": {},
            })  # fmt: skip
            with store.lock(cell.key, wait=False):
                store.begin(cell, images="")
                store.publish(cell, result, images="", device="cpu", seconds=0.0, command="")
        return Results.load(sorted(path.parent for path in tmp_path.glob("*/cells")))

    return stored


def test_a_cell_found_in_two_studies_counts_once(keep):
    keep("prior=vamp", "latent_dim=2", study="a")
    results = keep("prior=vamp", "latent_dim=2,4", study="b")
    assert [cell.settings["latent_dim"] for cell in results.where(prior="vamp")].count(2) == 1
    assert len(results) == 2
    assert [cell.key for cell in results] == sorted(cell.key for cell in results)


def test_cells_are_chosen_by_settings(keep):
    results = keep("beta=1,4", "prior=vamp,standard_normal", "latent_dim=2")
    assert len(results.where(beta=4.0)) == 2
    assert len(results.where(prior="vamp", beta={1.0, 4.0})) == 2
    assert len(results.where(train__epochs=2)) == 4
    assert len(results.where(prior__components=5)) == 2
    assert len(results.where(prior__absent=5)) == 0
    assert results.levels("beta") == [1.0, 4.0]
    assert {name: len(own) for name, own in results.by("prior").items()} == {"standard_normal": 2, "vamp": 2}


def test_families_differ_in_their_factors_only(keep):
    results = keep("beta=1,4", "prior=vamp,standard_normal", "latent_dim=2,4,8")
    families = results.families("latent_dim")
    assert [len(family) for family in families] == [3, 3, 3, 3]
    assert all(len(family.levels("beta")) == len(family.levels("prior")) == 1 for family in families)
    assert len(results.families("latent_dim", "beta")) == 2
    # A part stands for its options, which other parts do not have.
    assert [family.levels("prior") for family in results.families("prior")] == [["standard_normal", "vamp"]] * 6
    assert results.families("likelihood") == []
    assert sorted(cell.key for part in results.partition("beta") for cell in part) == [cell.key for cell in results]
    assert {len(part) for part in results.partition()} == {1}


def test_vectors_and_maps_are_families_apart_unless_the_shape_is_the_factor(keep):
    results = keep("network=spatial", "network.channels=[4]", "prior=vamp", "latent_dim=16,32,1x4x4,2x4x4")
    assert [family.levels("latent_dim") for family in results.families("latent_dim")] == [[16, 32], [16, 32]]
    assert [family.levels("latent") for family in results.families("latent")] == [["16", "1x4x4", "2x4x4", "32"]]


def test_how_results_are_computed_and_measured_does_not_part_a_family(keep):
    keep("prior=vamp", "latent_dim=2", "seeds=2", study="a")
    results = keep("prior=vamp", "latent_dim=4", "seeds=3", "evaluate.draws=32", study="b")
    assert [len(family) for family in results.families("latent_dim")] == [2]


def test_settings_that_a_cell_was_stored_without_have_their_defaults(keep):
    (cell,) = keep("prior=vamp", "latent_dim=2")
    del cell.manifest.config["train"]["schedule"]
    assert cell.settings["train.schedule"] == Cell().train.schedule
    assert cell.settings["prior"] == "vamp"
    assert cell.settings["network.hidden"] == (32,)


def test_values_are_per_replicate_with_their_errors_and_settings(keep):
    results = keep("prior=vamp", "latent_dim=2", "seeds=3", kl=[1.0, math.nan, 3.0], rate=5.0)
    table = results.values("aggregate/train/kl")
    assert table["value"].tolist() == [1.0, 3.0]
    assert table["replicate"].tolist() == [0, 2]
    assert table["standard_error"].tolist() == pytest.approx([0.1, 0.3])
    assert set(table["flags"]) == {"noted"}
    assert set(table["prior"]) == {"vamp"}
    assert results.values("aggregate/train/absent").empty
    assert results.values("aggregate/held_out/kl").empty
    assert results.values("realism/train/kl").empty
    with pytest.raises(ValueError, match="expected group/row/quantity"):
        results.values("kl")
    with pytest.raises(ValueError, match="groups aggregate, realism, densities; got 'training/train/kl'"):
        results.values("training/train/kl")


def test_a_frame_has_the_lines_with_every_estimate(keep):
    results = keep("prior=vamp", "latent_dim=2,4", "seeds=3", kl=[1.0, math.nan, 3.0], rate=5.0)
    frame = results.frame(mismatch="aggregate/train/kl", rate="aggregate/train/rate")
    assert frame["replicate"].tolist() == [0, 2, 0, 2]
    assert frame["mismatch"].tolist() == [1.0, 3.0, 1.0, 3.0]
    assert sorted(set(frame["latent_dim"])) == [2, 4]
    assert results.frame(mismatch="aggregate/train/absent").empty
    with pytest.raises(ValueError, match="got beta, a setting"):
        results.frame(beta="aggregate/train/kl")


def test_of_cells_that_differ_by_chance_alone_the_largest_stands_for_all(keep):
    keep("prior=vamp", "latent_dim=2", "seeds=2", study="a", kl=1.0)
    keep("prior=vamp", "latent_dim=2", "seeds=4", study="b", kl=2.0)
    results = keep("prior=vamp", "latent_dim=2", "seeds=2", "evaluate.draws=32", study="c", kl=3.0)
    assert len(results) == 3
    frame = results.frame(mismatch="aggregate/train/kl")
    assert frame["mismatch"].tolist() == [2.0] * 4
    # Where the largest lacks an estimate, one that has it stands in.
    keep("prior=vamp", "latent_dim=2", "seeds=5", study="d", other=1.0)
    results = keep("prior=vamp", "latent_dim=2", "seeds=3", study="e", kl=4.0, other=1.0)
    assert results.frame(m="aggregate/train/kl", o="aggregate/train/other")["m"].tolist() == [4.0] * 3


def test_groups_are_given_where_they_are(keep):
    results = keep("prior=vamp", "latent_dim=2")
    (cell,) = results
    assert cell.groups == {"aggregate"}
    assert cell.group("codes") is None
    assert cell.group("aggregate").sizes["quantity"] == 1
    assert len(results.having("aggregate")) == 1
    assert len(results.having("codes")) == 0


def test_a_trained_replicate_comes_back(keep):
    (stored,) = keep("prior=standard_normal", "latent_dim=2")
    trained = [new_replicate(stored.cell, load_images(stored.cell, None), replicate) for replicate in range(2)]
    tensors = {f"{r}/{name}": value + r for r, vae in enumerate(trained) for name, value in vae.state_dict().items()}
    result = CellResult(stored.store.read(stored.key), {name: tensor.numpy() for name, tensor in tensors.items()}, {})
    shutil.rmtree(stored.store.folder(stored.key))
    stored.store.publish(stored.cell, result, images="", device="cpu", seconds=0.0, command="")
    vae = trained_vae(stored.store, stored.key, 1)
    assert not vae.training
    for name, value in vae.state_dict().items():
        assert torch.equal(value, tensors[f"1/{name}"]), name
