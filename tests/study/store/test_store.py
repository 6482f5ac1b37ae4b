"""Cells on disk: whole or absent, verified, never deleted, merged without mixing."""

import json
import shutil
import threading
import time
from dataclasses import dataclass, field

import arviz as az
import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import load_file

from study.design.cell import Cell
from study.errors import EnvironmentFault, TrainingFailed
from study.run.training.checkpoint import Checkpoint, Checkpoints
from study.store.merge import merge
from study.store.store import CELL, MANIFEST, RESULT, WEIGHTS, Corrupt, Store


@dataclass
class Result:
    tree: xr.DataTree
    weights: dict = field(default_factory=lambda: {"0/w": np.arange(6.0, dtype=np.float32).reshape(2, 3).T})
    details: dict = field(default_factory=lambda: {"engine": "eager", "epochs": 3})


def tree(latent_dim=2, seeds=2, offset=0.0, **groups):
    """A tree such as a cell's, whose rates are ``latent_dim`` + ``offset`` exactly."""
    posterior = xr.Dataset(
        {"rate": (("chain", "draw"), np.full((seeds, 8), latent_dim + offset))},
        coords={"chain": np.arange(seeds), "draw": np.arange(8)},
    )
    spectrum = xr.Dataset({"eigenvalue": (("chain", "latent"), np.ones((seeds, latent_dim)))})
    held = {"/": xr.Dataset(attrs={"latent_dim": latent_dim}), "posterior": posterior, "aggregate": spectrum}
    return xr.DataTree.from_dict(held | groups)


def publish(store, cell, result=None):
    with store.lock(cell.key, wait=False) as held:
        assert held
        store.begin(cell, images="abc")
        store.publish(
            cell, result or Result(tree(cell.latent_dim)), images="abc", device="cpu", seconds=1.5, command="run it"
        )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results" / "test")


@pytest.fixture
def cell():
    return Cell.from_config({"latent_dim": 2})


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_cell_goes_from_missing_over_unfinished_to_done(store, cell):
    assert store.condition(cell.key) == "missing"
    with store.lock(cell.key, wait=False):
        workspace = store.begin(cell, images="abc")
        (workspace / "checkpoint").write_text("x")
        assert store.condition(cell.key) == "unfinished"
    publish(store, cell)
    assert store.condition(cell.key) == "done"
    assert not workspace.exists()
    assert {path.name for path in store.folder(cell.key).iterdir()} == {RESULT, WEIGHTS, MANIFEST}
    assert store.known_keys() == [cell.key]


def test_what_a_kill_left_beside_a_stored_cell_is_cleared(store, cell):
    publish(store, cell)
    (store.cells / f"{cell.key}.writing-x").mkdir()
    (store.cells / f"{cell.key}.failed.json").write_text("{}")
    store.workspace(cell.key).mkdir()
    (store.workspace(cell.key) / "checkpoint").touch()
    store.clear(cell.key)
    assert {path.name for path in store.cells.iterdir()} <= {cell.key, f"{cell.key}.lock"}
    assert store.condition(cell.key) == "done"


def test_what_is_stored_comes_back(store, cell):
    publish(store, cell)
    xr.testing.assert_identical(store.read(cell.key)["posterior"].to_dataset(), tree()["posterior"].to_dataset())
    weights = load_file(store.folder(cell.key) / WEIGHTS)
    assert torch.equal(weights["0/w"], torch.arange(6.0).reshape(2, 3).T)


def test_the_manifest_tells_what_the_cell_is_and_where_it_came_from(store, cell):
    publish(store, cell)
    manifest = store.verify(cell.key)
    assert Cell.from_config(manifest.config) == cell
    assert (manifest.key, manifest.device, manifest.seconds) == (cell.key, "cpu", 1.5)
    assert (manifest.images, manifest.command, manifest.details["epochs"]) == ("abc", "run it", 3)
    assert manifest.versions["torch"] == torch.__version__.partition("+")[0]
    assert set(manifest.files) == {RESULT, WEIGHTS}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DAMAGE = {
    "a bit of the result flipped": (lambda folder: flip(folder / RESULT), "other bytes"),
    "a bit of the weights flipped": (lambda folder: flip(folder / WEIGHTS), "other bytes"),
    "result cut": (lambda folder: (folder / RESULT).write_bytes((folder / RESULT).read_bytes()[:-1]), "other bytes"),
    "result emptied": (lambda folder: (folder / RESULT).write_bytes(b""), "other bytes"),
    "result absent": (lambda folder: (folder / RESULT).unlink(), "absent"),
    "weights absent": (lambda folder: (folder / WEIGHTS).unlink(), "absent"),
    "manifest absent": (lambda folder: (folder / MANIFEST).unlink(), "absent"),
    "manifest emptied": (lambda folder: (folder / MANIFEST).write_text(""), "not readable"),
    "manifest not JSON": (lambda folder: (folder / MANIFEST).write_text("{"), "not readable"),
    "manifest without hashes": (lambda folder: edit(folder / MANIFEST, files={}), "does not list"),
    "manifest of a later schema": (lambda folder: edit(folder / MANIFEST, schema_version=99), "schema version 99"),
    "manifest with another key": (lambda folder: edit(folder / MANIFEST, key="0" * 12), "another cell"),
    "manifest with another configuration": (
        lambda folder: edit(folder / MANIFEST, config=Cell.from_config({"beta": 7}).config()),
        "another cell",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cell_is_set_aside_and_nothing_of_it_is_lost(store, cell, damage):
    publish(store, cell)
    harm, reason = DAMAGE[damage]
    harm(store.folder(cell.key))
    with pytest.raises(Corrupt, match=reason):
        store.verify(cell.key)
    assert store.condition(cell.key) == "corrupt"
    assert store.load() == {}
    damaged = contents(store.folder(cell.key))
    publish(store, cell)
    assert store.condition(cell.key) == "done"
    assert contents(store.cells / f"{cell.key}.corrupt-1") == damaged


def test_cells_set_aside_do_not_overwrite_each_other(store, cell):
    for _ in range(3):
        publish(store, cell)
        flip(store.folder(cell.key) / RESULT)
    publish(store, cell)
    assert len(list(store.cells.glob("*.corrupt-*"))) == 3


@pytest.mark.parametrize("step", ["safetensors.numpy.save_file", "study.store.store.sha256", "study.files.flush"])
def test_a_crash_while_storing_leaves_no_cell_and_keeps_the_workspace(store, cell, monkeypatch, step):
    workspace = store.begin(cell, images="abc")
    (workspace / "checkpoint").write_text("precious")

    def crash(*_):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(step, crash)
        with pytest.raises(RuntimeError, match="power cut"):
            store.publish(cell, Result(tree()), images="abc", device="cpu", seconds=1.0, command="")
    assert store.condition(cell.key) == "unfinished"
    assert (workspace / "checkpoint").read_text() == "precious"
    publish(store, cell)
    assert store.condition(cell.key) == "done"


def test_a_full_disk_is_an_environment_fault(store, cell, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(EnvironmentFault, match=r"cannot write .*: No space left on device"):
        publish(store, cell)


def test_a_failure_is_recorded_and_cleared_by_success(store, cell):
    publish(store, cell)
    other = Cell.from_config({"latent_dim": 4})
    store.fail(other, TrainingFailed(17, "rate"), command="run it")
    assert store.condition(other.key) == "failed"
    record = store.failure(other.key)
    assert (record["step"], record["term"], record["command"]) == (17, "rate", "run it")
    assert "rate is not finite at step 17" in record["message"]
    assert store.known_keys() == sorted([cell.key, other.key])
    assert store.config(other.key) == other.config()
    publish(store, other)
    assert store.condition(other.key) == "done"
    assert not list(store.cells.glob("*.failed.json"))


def test_a_workspace_is_kept_for_the_same_images_and_set_aside_for_others(store, cell):
    (store.begin(cell, images="abc") / "checkpoint").write_text("x")
    assert (store.begin(cell, images="abc") / "checkpoint").exists()
    assert store.config(cell.key) == cell.config()
    assert not (store.begin(cell, images="def") / "checkpoint").exists()
    assert (store.cells / f"{cell.key}.corrupt-1" / "checkpoint").exists()
    assert json.loads((store.workspace(cell.key) / CELL).read_text())["images"] == "def"


def test_a_workspace_survives_a_change_of_engine(store):
    one, other = (Cell.from_config({"train": {"engine": engine}}) for engine in ("eager", "compiled"))
    (store.begin(one, images="abc") / "checkpoint").write_text("x")
    assert (store.begin(other, images="abc") / "checkpoint").exists()


def other_workspace(store, cell):
    """The workspace of another cell under this one's name, as a script that renames folders would leave it."""
    other = Cell.from_config({**cell.config(), "beta": 4.0})
    store.begin(other, images="abc").rename(store.workspace(cell.key))


FOREIGN = {
    "another cell's": other_workspace,
    "with an empty configuration": lambda store, cell: edit(store.begin(cell, images="abc") / CELL, config={}),
    "with a configuration that is a list": lambda store, cell: edit(store.begin(cell, images="abc") / CELL, config=[1]),
    "with a record too deep": lambda store, cell: (store.begin(cell, images="abc") / CELL).write_text("[" * 200_000),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_workspace_that_is_not_this_cells_is_set_aside(store, cell, kind):
    FOREIGN[kind](store, cell)
    (store.workspace(cell.key) / "checkpoint").write_text("x")
    assert not (store.begin(cell, images="abc") / "checkpoint").exists()
    assert (store.cells / f"{cell.key}.corrupt-1" / "checkpoint").exists()


def test_a_workspace_that_was_deleted_under_its_cell_keeps_what_was_saved_since(store, cell):
    """Checkpoints make their folder again, without its record; each of them tells whose it is."""
    workspace = store.begin(cell, images="abc")
    shutil.rmtree(store.cells)
    Checkpoints(workspace, "its identity").save(Checkpoint({"w": torch.ones(2)}, {"epoch": 3}))
    assert store.condition(cell.key) == "unfinished"
    assert Checkpoints(store.begin(cell, images="abc"), "its identity").newest().header == {"epoch": 3}
    assert Checkpoints(store.begin(cell, images="abc"), "another's").newest() is None


def test_what_a_crash_left_is_swept_by_the_next_run_of_that_cell_alone(store, cell):
    workspace = store.begin(cell, images="abc")
    stale = [store.cells / f"{cell.key}{name}" for name in (".writing-x1", ".failed.json.writing-x2", ".writing")]
    stale += [workspace / "checkpoint.safetensors.writing-x3", workspace / "cell.writing"]
    for path in stale[:-1]:
        path.mkdir()
        (path / "half").write_text("x")
    stale[-1].write_text("")
    others = store.cells / "0123456789ab.writing-x4"
    others.mkdir()
    store.begin(cell, images="abc")
    assert not any(path.exists() for path in stale)
    assert others.exists()


def test_only_one_holds_a_cell(store, cell):
    with store.lock(cell.key, wait=False) as first, Store(store.root).lock(cell.key, wait=False) as second:
        assert (first, second) == (True, False)
    with store.lock(cell.key, wait=False) as third:
        assert third


def test_waiting_for_a_cell_ends_when_it_is_free(store, cell):
    entered, released = threading.Event(), threading.Event()

    def hold():
        with store.lock(cell.key, wait=False):
            entered.set()
            time.sleep(0.3)
            released.set()

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
    with Store(store.root).lock(cell.key, wait=True) as held:
        assert held
        assert released.is_set()
    holder.join()


def test_cells_merge_along_the_latent_dimension_into_one_tree_per_prior(store):
    for prior in ("vamp", "standard_normal"):
        for latent_dim in (16, 2):
            cell = Cell.from_config({"prior": prior, "latent_dim": latent_dim})
            publish(store, cell, Result(tree(latent_dim, offset=100.0 if prior == "vamp" else 0.0)))
    merged = store.load()
    assert list(merged) == ["standard_normal", "vamp"]
    rate = merged["vamp"]["posterior/rate"]
    assert rate.dims == ("latent_dim", "chain", "draw")
    assert rate.sel(latent_dim=2).values.tolist() == np.full((2, 8), 102.0).tolist()
    assert rate.sel(latent_dim=16).values.tolist() == np.full((2, 8), 116.0).tolist()
    eigenvalue = merged["vamp"]["aggregate/eigenvalue"]
    assert np.isnan(eigenvalue.sel(latent_dim=2)).sum("latent").values.tolist() == [14, 14]
    assert not np.isnan(eigenvalue.sel(latent_dim=16)).any()


def test_what_else_varies_keeps_trees_apart():
    cells = [
        Cell.from_config({"latent_dim": latent_dim, "beta": beta, "seeds": seeds})
        for latent_dim in (2, 4)
        for beta, seeds in ((1, 2), (4, 2), (4, 3))
    ]
    merged = merge({cell.key: (cell.config(), tree(cell.latent_dim, cell.seeds, cell.beta)) for cell in cells})
    assert list(merged) == [
        "standard_normal",  # beta=4 and seeds=2, as four of the six
        "standard_normal, beta=1",
        "standard_normal, seeds=3",
    ]
    assert merged["standard_normal, seeds=3"]["posterior/rate"].shape == (2, 3, 8)
    assert float(merged["standard_normal"]["posterior/rate"].sel(latent_dim=4).mean()) == 8.0


def test_a_group_that_some_cells_lack_is_missing_there():
    extra = xr.Dataset({"bic": (("chain", "components"), np.ones((2, 3)))}, coords={"components": [1, 2, 5]})
    cells = {d: Cell.from_config({"latent_dim": d}) for d in (2, 4)}
    merged = merge(
        {
            cells[2].key: (cells[2].config(), tree(2, mixtures=extra)),
            cells[4].key: (cells[4].config(), tree(4)),
        }
    )
    bic = merged["standard_normal"]["mixtures/bic"]
    assert bic.sel(latent_dim=2).notnull().all()
    assert bic.sel(latent_dim=4).isnull().all()


def test_merging_does_not_depend_on_the_order_of_cells():
    cells = [Cell.from_config({"latent_dim": d}) for d in (8, 2, 32)]
    pairs = {cell.key: (cell.config(), tree(cell.latent_dim)) for cell in cells}
    one, other = merge(pairs), merge(dict(reversed(pairs.items())))
    xr.testing.assert_identical(one["standard_normal"], other["standard_normal"])
    assert one["standard_normal"]["posterior"]["latent_dim"].values.tolist() == [2, 8, 32]


def test_arviz_reads_the_merged_tree_as_it_stands():
    rng = np.random.default_rng(0)
    cells = [Cell.from_config({"latent_dim": d}) for d in (2, 8)]
    pairs = {}
    for cell in cells:
        noisy = tree(cell.latent_dim)
        noisy["posterior/rate"] += rng.normal(size=(2, 8))
        pairs[cell.key] = (cell.config(), noisy)
    table = az.summary(merge(pairs)["standard_normal"], kind="stats", round_to="none")
    assert list(table.index) == ["rate[2]", "rate[8]"]
    assert table["mean"].to_numpy() == pytest.approx([2, 8], abs=5 * 0.25)  # 16 draws of standard deviation 1
