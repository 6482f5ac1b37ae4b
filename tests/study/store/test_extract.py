"""Extracts: what they say is what the cells say, whatever lies in their place and whatever happened to the cells."""

import gc
import os
import shutil
from contextlib import suppress

import numpy as np
import pytest
import xarray as xr

from study.design.cell import Cell
from study.errors import DataError
from study.store import marks
from study.store.authentication import SECRET
from study.store.contents import Held, tables_of
from study.store.extract import FOLDER, KEPT, Extract, collection_put_off, extracts
from study.store.result import CellResult
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

CELLS = [Cell.from_config({"latent_dim": dim}) for dim in (2, 4, 8)]
KEY = CELLS[1].key


def result(dim: float) -> CellResult:
    coords = {"chain": [0, 1], "split": ["train"], "quantity": ["kl", "rate"]}
    fields = {"value": dim + np.arange(4.0), "standard_error": np.full(4, 0.1), "n": np.full(4, 50)}
    texts = {"bound": np.full(4, "unbiased"), "flags": np.array(["", "noted", "", "σ"])}
    table = {name: (tuple(coords), value.reshape(2, 1, 2)) for name, value in (fields | texts).items()}
    codes = {name: (("chain", "code"), np.full((2, 3), dim)) for name in ("kl_standard", "log_bhattacharyya")}
    norms = {name: (("chain", "draw"), np.full((2, 3), dim)) for name in ("aggregate_norm", "prior_norm")}
    groups = {"aggregate": xr.Dataset(table, coords), "codes": xr.Dataset(codes), "shells": xr.Dataset(norms)}
    return CellResult(xr.DataTree.from_dict(groups), {"w": np.zeros(3, np.float32)}, {})


@pytest.fixture
def store(settled_store):
    """Three finished cells, old enough for extracts."""
    for cell in CELLS:
        settled_store.publish(cell, result(cell.latent_dim), images="abc", device="cpu", seconds=1.0, command="run it")
    return settled_store


def same_tables(some, others):
    return some.keys() == others.keys() and all(
        np.array_equal(mine, other, equal_nan=True) if isinstance(mine, np.ndarray) else mine == other
        for group in some
        for mine, other in zip(some[group], others[group], strict=True)
    )


def read_cells(store, monkeypatch):
    """Keys of cells whose results are opened when extracts are asked for; what these say is compared with the cells."""
    asked = []
    read = Store.read
    with monkeypatch.context() as patch:
        patch.setattr(Store, "read", lambda self, key: (asked.append(key), read(self, key))[1])
        found = extracts(store)
    whole, corrupt = store.survey()
    assert {key: each for key, each in found.items() if isinstance(each, str)} == corrupt
    for key, manifest in whole.items():
        assert found[key].manifest == manifest
        tree = store.read(key)
        assert found[key].sizes == {name: dict(node.sizes) for name, node in tree.children.items()}
        for name, node in tree.children.items():
            assert found[key].group(name).identical(node.to_dataset())
        assert same_tables(found[key].tables(), tables_of(Held(tree)))
    return asked


def test_each_result_is_opened_once(store, monkeypatch):
    assert read_cells(store, monkeypatch) == sorted(cell.key for cell in CELLS)
    assert read_cells(store, monkeypatch) == []
    assert len(os.listdir(store.root / FOLDER)) == 3


def test_estimates_and_records_are_read_without_the_result(store, monkeypatch):
    extracts(store)
    monkeypatch.setattr("study.store.extract.group_of", lambda *_: pytest.fail("the result is opened"))
    for key, extract in extracts(store).items():
        for name in set(extract.sizes) & set(KEPT):
            assert extract.group(name).sizes == extract.sizes[name]
            (dims, values), (_, quantities) = extract.values("aggregate", "value", "quantity")
            assert values.shape == tuple(extract.sizes["aggregate"][dim] for dim in dims)
            assert quantities.tolist() == ["kl", "rate"]
        assert key == extract.manifest.key
        with pytest.raises(KeyError):
            extract.group("absent")


def test_settings_of_several_cells_are_one_object(store):
    """Whether they are made or read."""
    for _ in range(2):
        first, *others = extracts(store).values()
        for other in others:
            assert other.manifest.config["evaluate"] is first.manifest.config["evaluate"]
            assert other.sizes is first.sizes


def test_a_group_of_any_name_is_read(settled_store, monkeypatch):
    """Those of estimators that were added from outside, too."""
    groups = {"estimates": xr.Dataset({"fields": (("chain",), np.ones(2))}), **result(2).tree.to_dict()}
    tree = xr.DataTree.from_dict({name.strip("/"): group for name, group in groups.items() if name != "/"})
    settled_store.publish(CELLS[0], CellResult(tree, {}, {}), images="abc", device="cpu", seconds=1.0, command="run it")
    assert read_cells(settled_store, monkeypatch) == [CELLS[0].key]
    assert read_cells(settled_store, monkeypatch) == []


def test_a_long_record_is_read(settled_store, monkeypatch):
    """Longer than what is read first."""
    words = "latent-study run " + "x" * 20_000
    settled_store.publish(CELLS[0], result(2), images="abc", device="cpu", seconds=1.0, command=words)
    assert read_cells(settled_store, monkeypatch) == [CELLS[0].key]
    assert read_cells(settled_store, monkeypatch) == []


def test_extracts_of_another_version_are_made_anew(store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("study.store.extract.VERSION", 1)
        extracts(store)
    assert len(read_cells(store, monkeypatch)) == 3
    assert read_cells(store, monkeypatch) == []


def flip(path):
    """Changes one bit and puts the time of the content back."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


HARM = {
    "bit of the result": lambda folder: flip(folder / RESULT),
    "bit of the weights": lambda folder: flip(folder / WEIGHTS),
    "bit of the manifest": lambda folder: flip(folder / MANIFEST),
    "result cut": lambda folder: os.truncate(folder / RESULT, 10),
    "weights gone": lambda folder: (folder / WEIGHTS).unlink(),
    "manifest gone": lambda folder: (folder / MANIFEST).unlink(),
    "result a link elsewhere": lambda folder: ((folder / RESULT).unlink(), (folder / RESULT).symlink_to("/dev/null")),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_cell_that_is_no_longer_whole_is_named(store, monkeypatch, harm):
    extracts(store)
    HARM[harm](store.folder(KEY))
    read_cells(store, monkeypatch)
    assert isinstance(extracts(store)[KEY], str)


def test_a_cell_that_was_computed_anew_has_a_new_extract(store, monkeypatch):
    extracts(store)
    shutil.rmtree(store.folder(KEY))
    store.publish(CELLS[1], result(100.0), images="abc", device="cpu", seconds=1.0, command="run it")
    assert read_cells(store, monkeypatch) == [KEY]
    assert read_cells(store, monkeypatch) == []


def test_a_cell_that_is_gone_has_no_extract(store, monkeypatch):
    extracts(store)
    shutil.rmtree(store.folder(KEY))
    assert read_cells(store, monkeypatch) == []
    assert KEY not in extracts(store)


def flipped(text, place):
    return text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]


FORGED = {
    "empty": lambda text: b"",
    "cut": lambda text: text[:-5],
    "longer": lambda text: text + b"0",
    "no code": lambda text: text[70:],
    "a negative length": lambda text: text.replace(b" ", b" -", 1),
    "another number of lines": lambda text: text.replace(b" ", b" 9", 1),
    "a bit of the first line": lambda text: flipped(text, 0),
    "a bit of what it declares": lambda text: flipped(text, 200),
    "a bit of the estimates": lambda text: flipped(text, text.index(b"}\n{") + 200),
    "a bit of its arrays": lambda text: flipped(text, len(text) - 20),
}


@pytest.mark.parametrize("forged", FORGED)
def test_an_extract_that_was_not_written_here_is_not_believed(store, monkeypatch, forged):
    extracts(store)
    path = store.root / FOLDER / KEY
    path.write_bytes(FORGED[forged](path.read_bytes()))
    read_cells(store, monkeypatch)
    read_cells(store, monkeypatch)
    assert read_cells(store, monkeypatch) == []


def test_an_extract_of_another_cell_user_or_place_is_not_believed(store, cache, tmp_path, monkeypatch):
    extracts(store)
    shutil.copyfile(store.root / FOLDER / CELLS[0].key, store.root / FOLDER / KEY)
    assert read_cells(store, monkeypatch) == [KEY]
    (cache / SECRET).write_bytes(b"x" * 32)
    assert len(read_cells(store, monkeypatch)) == 3
    other = Store(tmp_path / "other")
    store.root.rename(other.root)
    assert len(read_cells(other, monkeypatch)) == 3


IN_THE_WAY = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a link to nothing": lambda path: os.symlink("/nowhere/at/all", path),
}


@pytest.mark.parametrize("thing", IN_THE_WAY)
def test_what_lies_in_its_place_does_not_harm(store, monkeypatch, thing):
    (store.root / FOLDER).mkdir()
    IN_THE_WAY[thing](store.root / FOLDER / KEY)
    assert len(read_cells(store, monkeypatch)) == 3


def test_nothing_is_written_through_a_link(store, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store.root / FOLDER).symlink_to(elsewhere)
    assert len(read_cells(store, monkeypatch)) == 3
    assert not os.listdir(elsewhere)


def test_where_nothing_can_be_written_cells_are_read_all_the_same(store, monkeypatch):
    (store.root / FOLDER).write_text("a file where the folder would be")
    assert len(read_cells(store, monkeypatch)) == 3
    assert len(read_cells(store, monkeypatch)) == 3
    monkeypatch.setenv("LATENT_STUDY_CACHE", "/dev/null/none")
    assert len(read_cells(store, monkeypatch)) == 3


def test_files_that_have_just_changed_get_none(store, monkeypatch):
    monkeypatch.setattr(marks, "SETTLED_NS", 3 * 10**9)
    extracts(store)
    assert len(read_cells(store, monkeypatch)) == 3
    assert not (store.root / FOLDER).exists()


def test_a_result_that_changes_after_it_was_listed_is_refused_when_it_is_opened(store):
    extracts(store)
    extract = extracts(store)[KEY]
    assert isinstance(extract, Extract)
    flip(store.folder(KEY) / RESULT)
    assert extract.group("aggregate").identical(result(4).tree["aggregate"].to_dataset())
    with pytest.raises(DataError, match=f"{KEY} has changed while it was read"):
        extract.group("shells")


@pytest.mark.parametrize("before", [True, False])
def test_the_search_for_cycles_is_as_it_was_afterwards(before):
    (gc.enable if before else gc.disable)()
    try:
        with suppress(KeyError), collection_put_off():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == before
    finally:
        gc.enable()
