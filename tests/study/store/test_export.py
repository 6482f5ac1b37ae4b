"""Exports: cells without weights that every reader takes for results, and of which studies are put together."""

import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from study.answers.formats import Format
from study.answers.results import Results
from study.answers.tables import summary_text
from study.cli import main
from study.design.cell import Cell
from study.errors import ConfigurationError, EnvironmentFault
from study.run.reload import trained_vae
from study.store.export import LEFT_BEHIND, export, export_studies
from study.store.manifest import Manifest, sha256
from study.store.reading import Corrupt
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

CELLS = {dim: Cell.from_config({"latent_dim": dim, "seeds": 2}) for dim in (2, 4, 8)}


def tree(offset=0.0):
    """A result with estimates, texts in more than one script, pictures and a record."""
    dims = ("chain", "split", "quantity")
    values = offset + np.random.default_rng(0).normal(size=(2, 2, 2))
    numbers = {"value": values, "standard_error": abs(values), "n": np.full(values.shape, 7)}
    texts = {"bound": np.full(values.shape, "unbiased"), "flags": np.full(values.shape, "σ ≈ 1; saturated")}
    coords = {"chain": [0, 1], "split": ["train", "held_out"], "quantity": ["rate", "kl"]}
    estimates = xr.Dataset({name: (dims, value) for name, value in (numbers | texts).items()}, coords)
    pixels = np.random.default_rng(1).integers(0, 4, (2, 1, 20, 1, 16, 16)).astype(np.uint8)
    images = ("chain", "source", "image", "channel", "height", "width")
    names = {"source": ["prior"], "title": ("source", ["prior draws"]), "formula": ("source", ["z ~ p"])}
    samples = xr.Dataset({"pixels": (images, pixels)}, names)
    spectrum = xr.Dataset({"eigenvalue": (("chain", "rank"), np.ones((2, 3), np.float32))})
    return xr.DataTree.from_dict({"aggregate": estimates, "samples": samples, "spectrum": spectrum})


def study(folder, *dims, offset=0.0):
    store = Store(folder)
    store.cells.mkdir(parents=True)
    for dim in dims:
        weights = {"w": np.random.default_rng(dim).normal(size=50_000)}
        result = SimpleNamespace(tree=tree(dim + offset), weights=weights, details={"training_seconds": 2.0})
        store.publish(CELLS[dim], result, images="abc", device="cpu", seconds=1.5, command="run it")
    return store


@pytest.fixture
def source(tmp_path):
    return study(tmp_path / "results" / "made", 2, 4)


@pytest.fixture
def target(tmp_path):
    return Store(tmp_path / "exports" / "made")


def test_an_exported_cell_holds_the_same_result_and_no_weights(source, target):
    done = export(source, target)
    assert (done.cells, done.left_out) == (2, {})
    files = [path for path in target.root.rglob("*") if path.is_file()]
    assert sorted({path.name for path in files}) == [MANIFEST, RESULT]
    assert done.size == sum(path.stat().st_size for path in files)
    for key in source.known_keys():
        assert target.read(key).identical(source.read(key))
        before, after = source.verify(key), target.verify(key)
        assert after.files == {RESULT: sha256(target.folder(key) / RESULT)}
        assert after.details == before.details | {LEFT_BEHIND: before.files[WEIGHTS]}
        same = {"files", "details", "digest"}
        assert after.model_dump(exclude=same) == before.model_dump(exclude=same)


def test_an_export_of_estimates_lacks_pictures_alone_and_is_the_same_cell(source, target, tmp_path):
    whole = Store(tmp_path / "whole" / "made")
    assert export(source, whole).size > 1.5 * export(source, target, estimates=True).size
    for key in source.known_keys():
        before, after = source.read(key), target.read(key)
        assert before.children.keys() - after.children.keys() == {"samples"}
        assert all(after[name].identical(before[name]) for name in after.children)
    for folders in ([source.root, target.root], [target.root, whole.root]):
        joined = Results.load(folders)
        assert ([cell.key for cell in joined], joined.left_out) == (source.known_keys(), {})
    assert export(source, target, estimates=True).cells == 2
    export(source, target)
    assert all(target.read(key).identical(source.read(key)) for key in source.known_keys()), "the fuller one"
    assert sorted(path.name for path in target.cells.glob("*.replaced-1")) == [
        f"{key}.replaced-1" for key in source.known_keys()
    ]
    assert export(source, target, estimates=True).cells == 2
    assert all(target.read(key).identical(source.read(key)) for key in source.known_keys()), "nothing is taken away"
    other = study(tmp_path / "other" / "made", 2, offset=1.0)
    assert len(Results.load([target.root, other.root]).left_out) == 1, "another result is no export of it"


def test_what_is_large_is_compressed(source, target):
    export(source, target)
    for key in source.known_keys():
        with xr.open_dataset(target.folder(key) / RESULT, group="samples", engine="netcdf4") as samples:
            assert samples["pixels"].encoding["zlib"]


def test_an_export_is_read_exported_and_refused_like_any_result(source, target, tmp_path):
    export(source, target)
    again = Store(tmp_path / "again" / "made")
    assert export(target, again).cells == 2
    key = source.known_keys()[0]
    assert again.verify(key).details == target.verify(key).details
    assert [cell.key for cell in Results.load([again.root])] == source.known_keys()
    with pytest.raises(ConfigurationError, match=r"expected a cell with weights; got .*, exported without"):
        trained_vae(target, key, 0)


def test_the_same_export_twice_writes_nothing_and_a_longer_study_adds_to_it(source, target):
    export(source, target)
    before = {path: path.stat().st_mtime_ns for path in target.root.rglob(RESULT)}
    weights = {"w": np.ones(3)}
    source.publish(
        CELLS[8], SimpleNamespace(tree=tree(8), weights=weights, details={}),
        images="abc", device="cpu", seconds=1.5, command="run it",
    )  # fmt: skip
    assert export(source, target).cells == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_result_of_the_same_cell_is_a_conflict_and_a_damaged_one_is_set_aside(source, target, tmp_path):
    export(source, target)
    other = study(tmp_path / "other" / "made", 2, offset=1.0)
    (key,) = other.known_keys()
    with pytest.raises(ConfigurationError, match=f"{key} holds another result of the cell than .*other"):
        export(other, target)
    assert target.read(key).identical(source.read(key))
    (target.folder(key) / RESULT).write_bytes(b"cut")
    assert export(source, target).cells == 2
    assert target.condition(key) == "done"
    assert (target.cells / f"{key}.corrupt-1").is_dir()


def test_results_are_not_exported_onto_themselves(source):
    with pytest.raises(ConfigurationError, match="the results themselves: name another"):
        export(source, Store(source.root / "."))
    assert all(source.condition(key) == "done" for key in source.known_keys())


def test_what_is_not_whole_is_left_out_and_named(source, target):
    first, second = source.known_keys()
    (source.folder(first) / WEIGHTS).unlink()
    done = export(source, target)
    assert (done.cells, target.known_keys()) == (1, [second])
    assert done.left_out == {source.folder(first): "weights.safetensors is absent"}
    (source.folder(second) / RESULT).write_bytes(b"")
    with pytest.raises(ConfigurationError, match="no finished cell"):
        export_studies([source.root], [target])


def test_texts_that_would_not_come_back_are_left_out(source, target):
    key = source.known_keys()[0]
    groups = {name: node.to_dataset() for name, node in source.read(key).children.items()}
    texts = np.full((2, 2, 2), "cut\0", dtype=object)
    groups["aggregate"] = groups["aggregate"].assign(flags=(("chain", "split", "quantity"), texts))
    xr.DataTree.from_dict(groups).to_netcdf(source.folder(key) / RESULT, engine="netcdf4")
    record = json.loads((source.folder(key) / MANIFEST).read_text())
    record["files"][RESULT] = sha256(source.folder(key) / RESULT)
    (source.folder(key) / MANIFEST).write_text(Manifest(**record).sealed().model_dump_json())
    kept = source.read(key)["aggregate"]["flags"].values.flat[0]
    done = export(source, target)
    assert done.cells == (2 if kept == "cut" else 1)  # netCDF may have cut it already


def test_a_manifest_alone_does_not_make_an_export(source):
    """Weights that a manifest lists must be there, and a manifest that lists none is no licence for other bytes."""
    key = source.known_keys()[0]
    path = source.folder(key) / MANIFEST
    manifest = source.verify(key)
    path.write_text(
        manifest.model_copy(update={"files": {WEIGHTS: manifest.files[WEIGHTS]}}).sealed().model_dump_json()
    )
    with pytest.raises(Corrupt, match="does not list"):
        source.verify(key)
    path.write_text(manifest.model_copy(update={"files": {RESULT: "0" * 64}}).sealed().model_dump_json())
    with pytest.raises(Corrupt, match="other bytes"):
        source.verify(key)


def test_studies_of_two_machines_are_put_together(source, tmp_path, caplog):
    elsewhere = study(tmp_path / "elsewhere" / "made", 4, 8)
    for store, place in ((source, "a"), (elsewhere, "b")):
        export(store, Store(tmp_path / place / "made"))
    both = [tmp_path / place / "made" for place in ("a", "b")]
    results = Results.some(both)
    assert sorted(cell.settings["latent_dim"] for cell in results) == [2, 4, 8]
    assert not results.left_out  # the cell of both is the same in both
    text = summary_text(both, Format.CSV, ["kl"])
    assert len(text.splitlines()) == 1 + 2 * 3
    assert not caplog.records


def test_one_cell_with_two_results_is_named_and_the_first_counts(source, tmp_path):
    elsewhere = study(tmp_path / "elsewhere" / "made", 4, 8, offset=0.25)
    results = Results.load([source.root, elsewhere.root])
    ((place, reason),) = results.left_out.items()
    assert place == elsewhere.folder(CELLS[4].key)
    assert reason == f"its result is not that of the same cell in {source.root}, which counts"
    (cell,) = results.where(latent_dim=4)
    assert cell.store.root == source.root


def test_a_folder_that_cannot_be_written_is_an_environment_fault(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"cannot write .*; choose another folder"):
        export(source, Store(tmp_path / "file" / "made"))


def test_status_tells_exports_from_results(source, target, capsys):
    export(source, target)
    shutil.copytree(source.folder(source.known_keys()[0]), target.folder("x") / "ignored")
    shutil.rmtree(target.folder("x"))
    assert main(["status", str(target.root)]) == 0
    assert "2 done; 2 exported, without weights" in capsys.readouterr().out
    assert main(["status", str(source.root)]) == 0
    assert "exported" not in capsys.readouterr().out
    assert not os.path.lexists(target.root / "report.html")


def test_tables_of_effects_go_with_the_cells_and_what_is_no_small_file_is_named(source, target, tmp_path):
    folder = source.root / "effects"
    folder.mkdir()
    (folder / "digits-kl.csv").write_text("outcome\nkl\n")
    (folder / "digits-log_px.csv").mkdir()
    done = export(source, target)
    assert (target.root / "effects" / "digits-kl.csv").read_text() == "outcome\nkl\n"
    assert list(done.left_out) == [folder / "digits-log_px.csv"]
    (folder / "digits-kl.csv").write_text("outcome\nkl, of more draws\n")
    assert export(source, target).cells == done.cells
    assert "more draws" in (target.root / "effects" / "digits-kl.csv").read_text()
    (target.root / "effects").rename(tmp_path / "elsewhere")
    (target.root / "effects").symlink_to(tmp_path / "elsewhere")
    (folder / "digits-kl.csv").write_text("through a link")
    with pytest.raises(EnvironmentFault, match="it is a link"):
        export(source, target)
    assert "more draws" in (tmp_path / "elsewhere" / "digits-kl.csv").read_text()
