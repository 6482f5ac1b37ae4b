"""Gathering: every whole cell once, verified, conflicts and gaps named, and nothing computed or lost."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
import xarray as xr

from study.cli import main
from study.design.cell import Cell
from study.errors import DataError, EnvironmentFault, TrainingFailed
from study.store.export import export
from study.store.gather import gather
from study.store.manifest import Manifest
from study.store.result import CellResult
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

CELLS = {dim: Cell.from_config({"latent_dim": dim}) for dim in (2, 4, 8, 16)}


def put(store, *dims, value=0.0, weight=0.0):
    """Finished cells whose only number is ``value``, with one weight."""
    for dim in dims:
        group = xr.Dataset({"rate": (("chain",), np.full(2, dim + value))})
        weights = {"w": np.full(3, weight, np.float32)}
        result = CellResult(xr.DataTree.from_dict({"some": group}), weights, {})
        store.cells.mkdir(parents=True, exist_ok=True)
        store.publish(CELLS[dim], result, images="abc", device="cpu", seconds=1.0, command="run it")
    return store


def contents(folder):
    return {
        p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".lock"
    }


@pytest.fixture
def stores(tmp_path):
    """Three sources and a target."""
    return [Store(tmp_path / name / "made") for name in ("a", "b", "c", "all")]


def test_all_cells_come_together_with_their_bytes_and_again_changes_nothing(stores):
    *sources, target = stores
    put(sources[0], 2, 4), put(sources[1], 4, 8), put(sources[2], 16)
    done = gather(sources, target)
    assert (set(done.copied), done.present, done.missing) == ({cell.key for cell in CELLS.values()}, (), {})
    for store, dim in ((sources[0], 2), (sources[1], 8), (sources[2], 16)):
        key = CELLS[dim].key
        assert contents(target.folder(key)) == contents(store.folder(key))
    before = contents(target.root)
    again = gather(sources, target)
    assert (again.copied, set(again.present), again.missing) == ((), {cell.key for cell in CELLS.values()}, {})
    assert contents(target.root) == before


def test_a_source_may_be_the_target(stores):
    first, second, *_ = stores
    put(first, 2), put(second, 4)
    assert gather([first, second], first).copied == (CELLS[4].key,)
    assert gather([Store(first.root / ".." / "made"), second], first).copied == ()


@pytest.mark.parametrize("other", [{"value": 1.0}, {"weight": 1.0}])
@pytest.mark.parametrize("where", [1, 3])
def test_two_results_of_one_cell_are_refused_and_both_named(stores, where, other):
    *sources, target = stores
    put(sources[0], 2, 4), put(stores[where], 4, **other)
    with pytest.raises(DataError) as refused:
        gather(sources, target)
    for store in (sources[0], stores[where]):
        assert str(store.folder(CELLS[4].key)) in str(refused.value)
    assert target.condition(CELLS[2].key) == "missing"


def test_results_of_other_images_are_refused(stores):
    *sources, target = stores
    put(sources[0], 2), put(sources[1], 2)
    path = sources[1].folder(CELLS[2].key) / MANIFEST
    changed = Manifest.model_validate_json(path.read_bytes()).model_copy(update={"images": "xyz"}).sealed()
    path.write_text(changed.model_dump_json())
    with pytest.raises(DataError, match="different results"):
        gather(sources, target)


def test_an_export_is_the_same_result_and_weights_are_preferred(stores):
    *sources, target = stores
    put(sources[1], 2)
    export(sources[1], sources[0])
    assert gather(sources, target).copied == (CELLS[2].key,)
    assert WEIGHTS in target.verify(CELLS[2].key).files


def test_a_copy_with_fewer_groups_is_the_same_result_and_the_fuller_one_is_taken(stores):
    few, many, _, target = stores
    put(many, 2)
    group = many.read(CELLS[2].key)["some"].to_dataset()
    fuller = xr.DataTree.from_dict({"some": group, "pictures": group})
    few.cells.mkdir(parents=True)
    for store, tree in ((few, many.read(CELLS[2].key)), (many, fuller)):
        shutil.rmtree(store.folder(CELLS[2].key), ignore_errors=True)
        store.publish(CELLS[2], CellResult(tree, {}, {}), images="abc", device="cpu", seconds=1.0, command="run it")
    assert gather([few, many], target).copied == (CELLS[2].key,)
    assert set(target.read(CELLS[2].key).children) == {"some", "pictures"}


def test_what_is_not_whole_is_named_and_another_copy_of_it_taken(stores):
    *sources, target = stores
    put(sources[0], 2, 4), put(sources[1], 4)
    sources[0].fail(CELLS[8], TrainingFailed(3, "rate"), command="run it")
    sources[1].begin(CELLS[16], images="abc")
    for dim in (2, 4):
        (sources[0].folder(CELLS[dim].key) / WEIGHTS).write_bytes(b"")
    done = gather(sources, target)
    assert done.copied == (CELLS[4].key,)
    conditions = {key: standing.condition for key, standing in done.missing.items()}
    assert conditions == {CELLS[2].key: "corrupt", CELLS[8].key: "failed", CELLS[16].key: "unfinished"}
    put(sources[2], 2, 8, 16)
    assert gather(sources, target).missing == {}


def test_what_is_damaged_in_the_target_moves_out_of_the_way(stores):
    *sources, target = stores
    put(sources[0], 2), put(target, 2)
    path = target.folder(CELLS[2].key) / RESULT
    path.write_bytes(b"x")
    assert gather(sources, target).copied == (CELLS[2].key,)
    assert target.condition(CELLS[2].key) == "done"
    assert (target.cells / f"{CELLS[2].key}.corrupt-1" / RESULT).read_bytes() == b"x"


def test_a_cell_that_is_being_computed_in_the_target_is_left_alone(stores):
    *sources, target = stores
    put(sources[0], 2)
    with target.lock(CELLS[2].key, wait=False) as held:
        assert held
        done = gather(sources, target)
    assert done.copied == ()
    assert done.missing[CELLS[2].key].reasons == ("another process holds it here",)


def test_files_beside_those_that_a_manifest_lists_and_links_do_not_come_along(stores, tmp_path):
    *sources, target = stores
    put(sources[0], 2)
    folder = sources[0].folder(CELLS[2].key)
    (folder / "evil.sh").write_text("echo")
    secret = tmp_path / "secret"
    shutil.move(folder / RESULT, secret)
    (folder / RESULT).symlink_to(secret)
    gather(sources, target)
    place = target.folder(CELLS[2].key)
    assert {path.name for path in place.iterdir()} == {RESULT, WEIGHTS, MANIFEST}
    assert not any(path.is_symlink() for path in place.iterdir())


def test_a_file_that_is_exchanged_while_it_is_copied_is_refused(stores, monkeypatch):
    *sources, target = stores
    put(sources[0], 2)
    copy = shutil.copyfile

    def exchanged(source, place):
        copy(source, place)
        place.write_bytes(b"other")

    monkeypatch.setattr("study.store.gather.shutil.copyfile", exchanged)
    done = gather(sources, target)
    assert done.copied == ()
    assert "other bytes" in done.missing[CELLS[2].key].reasons[0]
    assert not os.path.lexists(target.folder(CELLS[2].key))


def test_the_verb_says_what_came_and_what_is_missing(stores, tmp_path, capsys):
    put(stores[0], 2), put(stores[1], 4)
    words = ["gather", tmp_path / "a", tmp_path / "b", "--into", tmp_path / "all"]
    assert main([str(word) for word in words]) == 0
    assert "2 cells gathered, 0 there before, 0 missing" in capsys.readouterr().out
    (tmp_path / "made.yaml").write_text("factors: {latent_dim: [2, 4, 8]}\n")
    words += ["--study", f"{tmp_path / 'made.yaml'} latent_dim=4,8"]
    assert main([str(word) for word in words]) == 5
    out, err = capsys.readouterr()
    assert "0 cells gathered, 2 there before, 1 missing" in out
    assert CELLS[8].key in out
    assert "1 cells are missing" in err


@pytest.mark.parametrize("text", ["{", json.dumps({"key": "x"}), "", "[" * 5_000])
def test_a_manifest_that_is_none_is_no_cell(stores, text):
    *sources, target = stores
    put(sources[0], 2, 4)
    (sources[0].folder(CELLS[2].key) / MANIFEST).write_text(text)
    done = gather(sources, target)
    assert done.copied == (CELLS[4].key,)
    assert done.missing[CELLS[2].key].condition == "corrupt"


def test_verify_reads_every_byte(stores, capsys):
    first = put(stores[0], 2, 4)
    assert main(["verify", str(first.root)]) == 0
    assert "2 cells are whole, 0 are not" in capsys.readouterr().out
    path = first.folder(CELLS[4].key) / WEIGHTS
    content = bytearray(path.read_bytes())
    status = path.stat()
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert main(["verify", str(first.root)]) == 3
    out, err = capsys.readouterr()
    assert f"{first.folder(CELLS[4].key)}: {WEIGHTS} has other bytes" in out
    assert "1 cells are not as they were written" in err


def test_a_disk_that_is_full_is_not_the_fault_of_a_cell(stores, monkeypatch, capsys):
    *sources, target = stores
    put(sources[0], 2)

    def full(source, place):
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(place))

    monkeypatch.setattr("study.store.gather.shutil.copyfile", full)
    with pytest.raises(EnvironmentFault, match=r"cannot write .*all.*: No space left on device"):
        gather(sources, target)


def test_what_another_process_gathers_meanwhile_is_there_and_nothing_is_set_aside(stores, monkeypatch):
    first, second, _, target = stores
    put(first, 2, 4)
    lock = Store.lock

    def after_another(self, key, **settings):
        monkeypatch.setattr(Store, "lock", lock)
        gather([first], Store(self.root))
        return lock(self, key, **settings)

    monkeypatch.setattr(Store, "lock", after_another)
    done = gather([first, second], target)
    assert (done.copied, set(done.present), done.missing) == ((), {CELLS[2].key, CELLS[4].key}, {})
    assert not list(target.cells.glob("*.corrupt-*"))


def test_conflicts_are_counted_by_cells_and_words_of_a_study_that_are_none_are_refused(stores, tmp_path, capsys):
    first, second, third, target = stores
    put(first, 2), put(second, 2, value=1.0), put(third, 2, value=2.0)
    with pytest.raises(DataError, match="different results of one cell; move"):
        gather([first, second, third], target)
    assert main(["gather", str(tmp_path / "a"), "--into", str(tmp_path / "all"), "--study", "'"]) == 2
    assert "the words that `run` was given" in capsys.readouterr().err
