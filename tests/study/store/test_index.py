"""The index: what it says is what verifying says, whatever lies in its place and whatever happened to the cells."""

import json
import os
import shutil
import stat

import numpy as np
import pytest
import xarray as xr

from study.design.cell import Cell
from study.errors import TrainingFailed
from study.store import marks
from study.store.authentication import SECRET
from study.store.export import export
from study.store.index import INDEX, standings
from study.store.result import CellResult
from study.store.status import status_lines
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

CELLS = [Cell.from_config({"latent_dim": dim}) for dim in (2, 4, 8)]


@pytest.fixture
def store(settled_store):
    """Three finished cells, old enough for an index, and a failed and an unfinished one."""
    for cell in CELLS:
        group = xr.Dataset({"rate": (("chain",), np.full(2, float(cell.latent_dim)))})
        result = CellResult(xr.DataTree.from_dict({"some": group}), {"w": np.zeros(3, np.float32)}, {})
        settled_store.publish(cell, result, images="abc", device="cpu", seconds=1.0, command="run it")
    settled_store.fail(Cell.from_config({"latent_dim": 16}), TrainingFailed(3, "rate"), command="run it")
    settled_store.begin(Cell.from_config({"latent_dim": 32}), images="abc")
    return settled_store


def verified(store):
    """Standings without an index."""
    return {key: store.standing(key) for key in store.known_keys()}


def read_cells(store, monkeypatch):
    """Keys of cells that are verified when standings are asked for; these are compared with those without an index."""
    asked = []
    verify = Store.verify
    monkeypatch.setattr(Store, "verify", lambda self, key: (asked.append(key), verify(self, key))[1])
    found = standings(store, store.known_keys())
    monkeypatch.setattr(Store, "verify", verify)
    assert found == verified(store)
    return asked


def test_each_cell_is_verified_once(store, monkeypatch):
    assert len(read_cells(store, monkeypatch)) == 3
    assert read_cells(store, monkeypatch) == []
    assert (store.root / INDEX).is_file()


def test_asking_about_some_cells_keeps_what_is_known_of_the_others(store, monkeypatch):
    read_cells(store, monkeypatch)
    standings(store, [CELLS[0].key])
    standings(store, [])
    assert read_cells(store, monkeypatch) == []


HARM = {
    "bit of the result": lambda folder: flip(folder / RESULT),
    "bit of the weights": lambda folder: flip(folder / WEIGHTS),
    "bit of the manifest": lambda folder: flip(folder / MANIFEST),
    "result cut": lambda folder: os.truncate(folder / RESULT, 10),
    "weights gone": lambda folder: (folder / WEIGHTS).unlink(),
    "manifest gone": lambda folder: (folder / MANIFEST).unlink(),
    "result a link elsewhere": lambda folder: ((folder / RESULT).unlink(), (folder / RESULT).symlink_to("/dev/null")),
}


def flip(path):
    """Changes one bit and puts the time of the content back."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("harm", HARM)
def test_what_has_changed_since_is_verified_again(store, monkeypatch, harm):
    standings(store, store.known_keys())
    HARM[harm](store.folder(CELLS[1].key))
    assert read_cells(store, monkeypatch) == [CELLS[1].key]
    assert standings(store, store.known_keys())[CELLS[1].key].condition == "corrupt"


def test_another_cells_files_do_not_pass(store, monkeypatch):
    standings(store, store.known_keys())
    shutil.rmtree(store.folder(CELLS[1].key))
    shutil.copytree(store.folder(CELLS[0].key), store.folder(CELLS[1].key))
    assert read_cells(store, monkeypatch) == [CELLS[1].key]


def test_cells_that_come_and_go_are_noticed(store, monkeypatch):
    standings(store, store.known_keys())
    shutil.move(store.folder(CELLS[0].key), store.root / "away")
    assert read_cells(store, monkeypatch) == []
    shutil.move(store.root / "away", store.folder(CELLS[0].key))
    assert read_cells(store, monkeypatch) == [CELLS[0].key]


def test_exports_keep_their_word(store, tmp_path, monkeypatch):
    target = Store(tmp_path / "exported" / "made")
    export(store, target)
    assert len(read_cells(target, monkeypatch)) == 3
    assert read_cells(target, monkeypatch) == []
    assert all(each.exported for each in standings(target, target.known_keys()).values())


FORGED = {
    "empty": lambda text: b"",
    "cut": lambda text: text[:-5],
    "a bit flipped": lambda text: text[:100] + bytes([text[100] ^ 1]) + text[101:],
    "no JSON": lambda text: b"{" * 100_000,
    "without a code": lambda text: text.partition(b"\n")[2],
    "another condition": lambda text: text.replace(b'"latent_dim":4', b'"latent_dim":5'),
}


@pytest.mark.parametrize("forged", FORGED)
def test_an_index_that_was_not_written_here_is_not_believed(store, monkeypatch, forged):
    standings(store, store.known_keys())
    path = store.root / INDEX
    path.write_bytes(FORGED[forged](path.read_bytes()))
    assert len(read_cells(store, monkeypatch)) == 3
    assert read_cells(store, monkeypatch) == []


def test_an_index_of_another_user_or_place_is_not_believed(store, cache, tmp_path, monkeypatch):
    standings(store, store.known_keys())
    (cache / SECRET).write_bytes(b"x" * 32)
    assert len(read_cells(store, monkeypatch)) == 3
    other = Store(tmp_path / "other")
    store.root.rename(other.root)
    assert len(read_cells(other, monkeypatch)) == 3


def test_what_lies_in_its_place_does_not_harm(store, monkeypatch):
    path = store.root / INDEX
    os.mkfifo(path)
    assert len(read_cells(store, monkeypatch)) == 3
    path.unlink()
    path.mkdir()
    assert len(read_cells(store, monkeypatch)) == 3


def test_files_that_have_just_changed_get_no_entry(store, monkeypatch):
    monkeypatch.setattr(marks, "SETTLED_NS", 3 * 10**9)
    standings(store, store.known_keys())
    assert len(read_cells(store, monkeypatch)) == 3


def test_a_cache_that_cannot_be_written_means_no_index(store, monkeypatch):
    monkeypatch.setenv("LATENT_STUDY_CACHE", "/dev/null/none")
    assert len(read_cells(store, monkeypatch)) == 3
    assert not (store.root / INDEX).exists()


def test_the_secret_is_for_its_owner_alone(store, cache):
    standings(store, store.known_keys())
    assert stat.S_IMODE((cache / SECRET).stat().st_mode) == 0o600
    assert len((cache / SECRET).read_bytes()) == 32
    text = (store.root / INDEX).read_text()
    assert len(json.loads(text.partition("\n")[2])) == 3


@pytest.mark.slow
def test_the_second_listing_of_a_thousand_cells_opens_none(store, monkeypatch):
    model = store.folder(CELLS[0].key)
    manifest = store.verify(CELLS[0].key)
    for number in range(1_000):
        cell = Cell.from_config({"latent_dim": 2, "seed_offset": number + 1})
        place = store.folder(cell.key)
        place.mkdir()
        for name in (RESULT, WEIGHTS):
            os.link(model / name, place / name)
        changed = manifest.model_copy(update={"key": cell.key, "config": cell.config()}).sealed()
        (place / MANIFEST).write_text(changed.model_dump_json())
    first = list(status_lines(store.root))
    monkeypatch.setattr(Store, "verify", lambda self, key: pytest.fail("it is verified again"))
    assert list(status_lines(store.root)) == first
    assert len([line for line in first if " done " in line]) == 1_003
