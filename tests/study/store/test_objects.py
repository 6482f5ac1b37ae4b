"""Results at URLs: what is published is what is read, bit for bit, on every protocol; and nothing there is trusted."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
import xarray as xr
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from study.cli import main
from study.design.cell import Cell
from study.design.study import Study
from study.errors import ConfigurationError, DataError, EnvironmentFault
from study.run.session import run
from study.store.reading import Corrupt
from study.store.result import CellResult
from study.store.store import MANIFEST, RESULT, WEIGHTS, Store

pytest.importorskip("zarr", reason="the extra objects is not installed")
from study.store.objects.archive import read_archive, same, write_archive
from study.store.objects.mirror import RECORD, archives, mirror_at, mirrors
from study.store.objects.objects import Objects
from study.store.objects.published import Published

CELLS = [Cell.from_config({"latent_dim": dim}) for dim in (2, 8)]
KEYS = [cell.key for cell in CELLS]
STUDY = "made"


def served(words):
    """The address at which a server with the command ``words``, to which a port is added, answers; then ends it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*words, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def amazon():
    """Address of a server of the protocol of S3 on this computer, in a process of its own."""
    pytest.importorskip("s3fs", reason="the extra objects is not installed")
    pytest.importorskip("moto", reason="moto, the server of S3's protocol, is not installed")
    yield from served([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p"])


@pytest.fixture(scope="module")
def google():
    """The same of the protocol of Google's store."""
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    pytest.importorskip("gcp_storage_emulator", reason="the server of Google's protocol is not installed")
    start = Path(__file__).with_name("google_server.py")
    yield from served([sys.executable, str(start), "start", "-q", "-M", "-H", "127.0.0.1", "--port"])


@pytest.fixture(params=["memory", *(pytest.param(name, marks=pytest.mark.slow) for name in ("file", "s3", "gs"))])
def url(request, tmp_path, monkeypatch):
    """The URL of an empty results folder."""
    if request.param == "memory":
        MemoryFileSystem.store.clear()
        MemoryFileSystem.pseudo_dirs[:] = [""]
        return "memory://bucket/results"
    if request.param == "file":
        (tmp_path / "bucket").mkdir()
        return f"file://{tmp_path}/bucket/results"
    if request.param == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("amazon"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "secret-of-the-test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    else:
        monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # which would ask for credentials
        monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", request.getfixturevalue("google"))
    bucket = f"bucket-{tmp_path.name.replace('_', '-').lower()[-40:]}"
    files = fsspec.filesystem(request.param)
    if not files.exists(bucket):
        files.mkdir(bucket)
    return f"{request.param}://{bucket}/{time.time_ns()}/results"


IN_MEMORY = pytest.mark.parametrize("url", ["memory"], indirect=True)
"""For laws of what is done here with what a store answers, whatever its protocol."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache of a user; another is that of another user."""

    def use(name):
        monkeypatch.setenv("LATENT_STUDY_CACHE", str(tmp_path / name))

    use("cache")
    return use


def result(dim, shift=0.0):
    coords = {"chain": [0, 1], "split": ["train"], "quantity": ["kl", "rate"]}
    fields = {"value": dim + shift + np.arange(4.0), "standard_error": np.full(4, np.nan), "n": np.full(4, 50)}
    texts = {"bound": np.full(4, "unbiased"), "flags": np.array(["", "noted", "", "σ"])}
    table = {name: (tuple(coords), value.reshape(2, 1, 2)) for name, value in (fields | texts).items()}
    norms = np.linspace(0, dim, 6, dtype=np.float32).reshape(2, 3)
    shells = dict.fromkeys(("aggregate_norm", "prior_norm"), (("chain", "draw"), norms))
    posterior = xr.Dataset({"rate": (("chain", "draw"), np.ones((2, 0)), {"unit": "nats"}), "whole": ((), 3)})
    groups = {"posterior": posterior, "shells": xr.Dataset(shells), "aggregate": xr.Dataset(table, coords)}
    return CellResult(xr.DataTree.from_dict(groups), {"w": np.full(3, shift, np.float32)}, {"engine": "eager"})


def put(store, cells=CELLS, shift=0.0):
    store.cells.mkdir(parents=True, exist_ok=True)
    for cell in cells:
        made = result(cell.latent_dim, shift)
        store.publish(cell, made, images="abc", device="cpu", seconds=1.0, command="run it")
    return store


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with two finished cells in it, and one with the objects that they are published as."""
    folder = tmp_path_factory.mktemp("model")
    store = put(Store(folder / "store"))
    for key in KEYS:
        Published(Objects.at(f"file://{folder}/objects")).publish(store, key)
    return folder


@pytest.fixture
def store(tmp_path, model):
    """Two finished cells in a folder."""
    return Store(shutil.copytree(model / "store", tmp_path / "here" / STUDY))


@pytest.fixture
def published(url, model):
    """The same at a URL."""
    there = Published(Objects.at(f"{url}/{STUDY}/cells"))
    for path in (model / "objects").glob("*/*"):
        overwrite(there, str(path.relative_to(model / "objects")), path.read_bytes())
    return there


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def overwrite(there, name, data):
    if there.objects.url.startswith("file"):
        Path(there.objects.root, name).parent.mkdir(parents=True, exist_ok=True)
    there.objects.files.pipe_file(f"{there.objects.root}/{name}", data)


def names(there):
    return sorted(there.objects.listing())


def answers(words, capsys):
    code = main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_what_is_published_is_what_is_read(url, store, published):
    (mirror,) = mirrors(url)
    seen = mirror.refresh(weights=True)
    assert (seen.left_out, seen.with_weights) == ({}, set(KEYS))
    for key in KEYS:
        assert contents(mirror.store.folder(key)) == contents(store.folder(key))
    assert [each.url for each in mirrors(f"{url}/{STUDY}")] == [mirror.url]
    assert mirrors(f"{url}/{STUDY}/")[0].store == mirror.store


def test_reading_leaves_weights_there_and_gathering_brings_them(url, store, published, tmp_path):
    mirror = mirror_at(url, STUDY)
    assert mirror.refresh().with_weights == set(KEYS)
    for key in KEYS:
        assert set(contents(mirror.store.folder(key))) == {RESULT, MANIFEST}
        assert same(mirror.store.read(key), store.read(key))
        details = mirror.store.verify(key).details
        assert details["weights_sha256"] == store.verify(key).files[WEIGHTS]
    assert main(["gather", url, "--into", str(tmp_path / "all")]) == 0
    for key in KEYS:
        assert contents(tmp_path / "all" / STUDY / "cells" / key) == contents(store.folder(key))


def test_what_has_not_changed_is_not_fetched_again_and_what_has_gone_goes(url, published, monkeypatch):
    mirror = mirror_at(url, STUDY)
    mirror.refresh()
    with monkeypatch.context() as patch:
        patch.setattr(Objects, "blocks", lambda *_: pytest.fail("an object is read"))
        mirror.refresh()
    shutil.rmtree(mirror.store.folder(KEYS[0]))
    (mirror.store.folder(KEYS[1]) / RESULT).write_bytes(b"damaged here")
    mirror.refresh()
    assert set(mirror.store.survey()[0]) == set(KEYS)
    published.objects.files.rm(f"{published.objects.root}/{KEYS[0]}", recursive=True)
    mirror.refresh()
    assert mirror.store.known_keys() == [KEYS[1]]


@IN_MEMORY
def test_a_record_that_a_crash_lost_is_made_anew_without_fetching(url, published, monkeypatch):
    mirror = mirror_at(url, STUDY)
    mirror.refresh()
    for damage in (b"no JSON", None):
        (mirror.store.root / RECORD).unlink()
        if damage:
            (mirror.store.root / RECORD).write_bytes(damage)
        with monkeypatch.context() as patch:
            patch.setattr(Published, "fetch", lambda *_, **__: pytest.fail("a cell is fetched"))
            assert mirror.refresh().with_weights == set(KEYS)
        assert (mirror.store.root / RECORD).is_file()
        assert mirror.unpublished() == []


@IN_MEMORY
def test_a_cell_that_was_removed_and_published_anew_is_read_anew(url, store, published):
    mirror = mirror_at(url, STUDY)
    mirror.refresh()
    published.objects.files.rm(f"{published.objects.root}/{KEYS[0]}", recursive=True)
    other = put(Store(store.root.parent / "other"), CELLS, shift=1.0)
    published.publish(other, KEYS[0])
    mirror.refresh()
    assert same(mirror.store.read(KEYS[0]), other.read(KEYS[0]))


@pytest.mark.parametrize("verb", [["summary", "--format", "csv"], ["status"], ["verify"]])
def test_verbs_print_the_same_as_of_the_folder(url, store, published, verb, capsys):
    folder = answers([*verb, str(store.root.parent)], capsys)
    assert folder[0] == 0
    for place in (url, f"{url}/{STUDY}"):
        assert answers([*verb, place], capsys) == (0, folder[1].replace(str(store.root), f"{url}/{STUDY}"), folder[2])


@IN_MEMORY
@pytest.mark.parametrize("verb", [["summary"], ["verdict"], ["compare"]])
def test_answers_are_the_same_as_of_the_folder(url, store, published, verb, capsys):
    test_verbs_print_the_same_as_of_the_folder(url, store, published, verb, capsys)


@IN_MEMORY
def test_a_page_is_written_beside_the_copy_or_where_it_is_asked_for(url, published, capsys, tmp_path):
    code, out, _ = answers(["report", url], capsys)
    assert code == 0
    assert Path(re.search("page: (.*)", out)[1]).parent == mirror_at(url, STUDY).store.root
    assert answers(["report", url, "--output", str(tmp_path / "page.html")], capsys)[0] == 0


@pytest.mark.parametrize("at", range(3))
def test_a_kill_between_uploads_leaves_no_half_cell(url, store, at, monkeypatch):
    there = Published(Objects.at(f"{url}/{STUDY}/cells"))
    calls = []

    def killed(self, *_):
        calls.append(_)
        if len(calls) > at:
            raise KeyboardInterrupt
        return whole[len(calls) - 1](self, *_)

    whole = [Objects.upload, Objects.upload, Objects.create]
    with monkeypatch.context() as patch:
        for name in ("upload", "create"):
            patch.setattr(Objects, name, killed)
        with pytest.raises(KeyboardInterrupt):
            there.publish(store, KEYS[0])
    assert len(names(there)) == at
    assert there.listing().cells == {}
    assert not list(store.cells.glob("*.writing*"))
    there.publish(store, KEYS[0])
    assert there.verify(KEYS[0], there.look(KEYS[0])).key == KEYS[0]
    assert len(names(there)) == 3


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("result", "another byte"),
        ("result", "absent"),
        ("weights", "shorter"),
        ("manifest", "another byte"),
        ("manifest", "absent"),
    ],
)
def test_a_tampered_object_is_named(url, published, kind, damage, capsys):
    (name,) = (each for each in names(published) if each.startswith(f"{KEYS[0]}/{kind}"))
    data = published.objects.files.cat_file(f"{published.objects.root}/{name}")
    if damage == "absent":
        published.objects.files.rm(f"{published.objects.root}/{name}")
    else:
        overwrite(published, name, data[:-3] + (bytes([data[-3] ^ 1]) + data[-2:] if damage == "another byte" else b""))
    code, out, _ = answers(["verify", url], capsys)
    if (kind, damage) == ("manifest", "absent"):
        assert (code, f"{url}/{STUDY}: 1 cells are whole, 0 are not" in out) == (0, True)
        return
    assert code == DataError.exit_code
    assert f"{url}/{STUDY}/cells/{KEYS[0]}: {'' if kind == 'manifest' else Path(name).name}" in out
    assert f"{url}/{STUDY}: 1 cells are whole, 1 are not" in out
    if kind != "weights":  # which are read by those that take them along
        code, out, _ = answers(["status", url], capsys)
        assert (code, f"{url}/{STUDY}: 1 done, 1 corrupt\n" in out) == (0, True)
        assert f"  {KEYS[0]}  corrupt" in out
    code, out, err = answers(["gather", url, "--into", "all"], capsys)
    assert f"left out: {url}/{STUDY}/cells/{KEYS[0]}" in err
    assert not Path("all", STUDY, "cells", KEYS[0]).exists()
    code, out, err = answers(["summary", "--format", "csv", url], capsys)
    assert (code, kind == "weights") == (0, f"left out: {url}/{STUDY}/cells/{KEYS[0]}" not in err)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@IN_MEMORY
def test_a_cell_under_another_key_is_refused(url, published):
    for name in names(published):
        if name.startswith(KEYS[0]):
            data = published.objects.files.cat_file(f"{published.objects.root}/{name}")
            overwrite(published, f"0123456789ab/{name.partition('/')[2]}", data)
    mirror = mirror_at(url, STUDY)
    assert mirror.refresh().left_out == {f"{url}/{STUDY}/cells/0123456789ab": "its configuration is another cell's"}
    assert mirror.store.known_keys() == sorted(KEYS)


@IN_MEMORY
@pytest.mark.parametrize("digest", ["../../../../x" + "0" * 51, "0" * 63, "0" * 64])
def test_a_manifest_names_no_place_but_its_cells_own(url, published, digest):
    manifest = published.manifest(KEYS[0], published.look(KEYS[0]))
    files = {f"result-{digest[:12]}.zarr.zip": digest}
    changed = manifest.model_copy(update={"files": files}).sealed()
    overwrite(published, f"{KEYS[0]}/{MANIFEST}", changed.model_dump_json().encode())
    (reason,) = mirror_at(url, STUDY).refresh().left_out.values()
    assert "does not list a result" in reason or "is absent" in reason


@pytest.mark.parametrize("name", ["../evil/manifest.json", "/manifest.json", "0123456789ab/../../x", "notakey/x", "x"])
def test_names_that_lead_elsewhere_are_refused(url, published, name, tmp_path, monkeypatch):
    listing = published.objects.files.find

    def find(path, **options):
        found = listing(path, **options)
        root = published.objects.root
        return found | ({f"{root}/{name}": dict(next(iter(found.values())))} if path == root else {})

    monkeypatch.setattr(published.objects.files, "find", find)  # fsspec gives the same object for the same URL
    before = sorted(tmp_path.rglob("*"))
    mirror = mirror_at(url, STUDY)
    assert mirror.refresh().left_out == {f"{url}/{STUDY}/cells/{name}": "it is no object of a cell"}
    assert mirror.store.known_keys() == sorted(KEYS)
    made = {path for path in sorted(tmp_path.rglob("*")) if path not in before}
    assert all(path.is_relative_to(tmp_path / "cache") for path in made)


@IN_MEMORY
def test_a_study_has_a_name_that_is_no_way_out(url, published, monkeypatch):
    monkeypatch.setattr(Objects, "folders", lambda self: [STUDY, "..", "cells"] if self.url != url else ["..", STUDY])
    assert [mirror.url for mirror in mirrors(url)] == [f"{url}/{STUDY}"]


def test_the_second_of_two_publishers_finds_the_cell_there(url, store, published, cache):
    before = names(published)
    same_again = put(Store(store.root.parent / "again"))
    for key in KEYS:
        published.publish(same_again, key)
    assert names(published) == before
    other = put(Store(store.root.parent / "other"), CELLS[:1], shift=1.0)
    with pytest.raises(DataError, match="hold different results of one cell"):
        published.publish(other, KEYS[0])
    assert same(_fetched(url).read(KEYS[0]), store.read(KEYS[0]))


def test_of_two_who_publish_at_once_one_wins_whole(url, store, published, monkeypatch):
    other = put(Store(store.root.parent / "other"), CELLS[:1], shift=1.0)
    look, seen = Published.look, []

    def at_first_nothing(self, key):
        seen.append(key)
        return {} if len(seen) == 1 else look(self, key)

    monkeypatch.setattr(Published, "look", at_first_nothing)
    with pytest.raises(DataError, match="hold different results of one cell"):
        published.publish(other, KEYS[0])
    assert same(_fetched(url).read(KEYS[0]), store.read(KEYS[0]))


def _fetched(url):
    mirror = mirror_at(url, STUDY)
    assert mirror.refresh(weights=True).left_out == {}
    return mirror.store


def test_gathering_into_a_url_publishes_and_again_changes_nothing(url, store, tmp_path, cache, capsys):
    assert answers(["gather", str(store.root.parent), "--into", url], capsys)[0] == 0
    there = Published(Objects.at(f"{url}/{STUDY}/cells"))
    before = names(there)
    assert len(before) == 6
    cache("another user's")
    code, out, _ = answers(["gather", str(store.root.parent), "--into", url], capsys)
    assert (code, out) == (0, f"{url}/{STUDY}: 0 cells gathered, 2 there before, 0 missing\n")
    assert names(there) == before
    cache("a third")
    assert main(["gather", url, "--into", str(tmp_path / "all")]) == 0
    for key in KEYS:
        assert contents(tmp_path / "all" / STUDY / "cells" / key) == contents(store.folder(key))


def test_an_export_to_a_url_has_no_weights(url, store, capsys):
    code, _, err = answers(["export", str(store.root.parent), url], capsys)
    assert code == 0, err
    there = Published(Objects.at(f"{url}/{STUDY}/cells"))
    assert len(names(there)) == 4
    assert not any("weights" in name for name in names(there))
    assert "2 done; 2 exported, without weights" in answers(["status", url], capsys)[1]
    assert same(_fetched(url).read(KEYS[0]), store.read(KEYS[0]))


def test_xarray_opens_the_archives_where_they_lie(url, store, published):
    found = archives(f"{url}/{STUDY}")
    assert sorted(found) == sorted(KEYS)
    small = {"s3": {"default_block_size": 2**16}} if url.startswith("s3") else None
    with xr.open_datatree(found[KEYS[0]], engine="zarr", chunks=None, storage_options=small) as opened:
        assert opened["aggregate/value"].identical(store.read(KEYS[0])["aggregate/value"])
        assert opened.load().identical(store.read(KEYS[0]))


def test_opening_one_variable_reads_little_of_the_rest(tmp_path, monkeypatch):
    large = np.random.RandomState(0).bytes(2**22)
    groups = {"samples": xr.Dataset({"pixels": (("image",), np.frombuffer(large, np.uint8))})}
    groups |= {"aggregate": xr.Dataset({"value": (("row",), np.arange(3.0))})}
    write_archive(xr.DataTree.from_dict(groups), tmp_path / "a.zarr.zip")
    MemoryFileSystem.store.clear()
    fsspec.filesystem("memory").pipe_file("/a.zarr.zip", (tmp_path / "a.zarr.zip").read_bytes())
    taken = []
    read = MemoryFile.read
    monkeypatch.setattr(MemoryFile, "read", lambda self, *size: (data := read(self, *size), taken.append(len(data)))[0])
    with xr.open_datatree("zip::memory://a.zarr.zip", engine="zarr", chunks=None) as opened:
        assert opened["aggregate/value"].values.tolist() == [0.0, 1.0, 2.0]
        little = sum(taken)
        assert opened["samples/pixels"].values.tobytes() == large
    assert little < 2**17 < len(large) <= sum(taken)


def archive_of(tmp_path, change):
    """An archive whose entries are those of a result, changed: a dict of bytes by name, with metadata as JSON."""
    write_archive(result(2).tree, tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as good:
        entries = {entry.filename: good.read(entry) for entry in good.infolist()}
    root = json.loads(entries["zarr.json"])
    compression = change(root["consolidated_metadata"]["metadata"], entries) or zipfile.ZIP_STORED
    entries["zarr.json"] = json.dumps(root).encode()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", compression) as bad:
        for name, data in entries.items():
            bad.writestr(name, data)
    return tmp_path / "a.zip"


def with_codec(name):
    return lambda nodes, _: nodes["aggregate/value"]["codecs"].append({"name": name, "configuration": {}})


def chunked(nodes, entries):
    nodes["aggregate/value"]["chunk_grid"]["configuration"]["chunk_shape"] = [2**20] * 3


def texts_of(length):
    return lambda nodes, _: nodes["aggregate/flags"]["data_type"]["configuration"].update(length_bytes=length)


def big_endian(nodes, entries):
    nodes["aggregate/value"]["codecs"][0]["configuration"] = {"endian": "big"}


CHANGES = {
    "nothing": lambda nodes, entries: None,
    "compressed entries": lambda nodes, entries: zipfile.ZIP_DEFLATED,
    "a compressed array": with_codec("zstd"),
    "pickles": with_codec("numcodecs.pickle"),
    "objects": lambda nodes, entries: nodes["aggregate/value"].update(data_type="variable_length_bytes"),
    "an unknown type": lambda nodes, entries: nodes["aggregate/value"].update(data_type={"name": "|O"}),
    "a huge shape": lambda nodes, entries: nodes["aggregate/value"].update(shape=[2**20] * 3),
    "a negative shape": lambda nodes, entries: nodes["aggregate/value"].update(shape=[-2, 1, -2]),
    "huge chunks": chunked,
    "huge texts": texts_of(2**34),
    "texts of no length": texts_of(-4),
    "a chunk absent": lambda nodes, entries: (entries.pop("aggregate/value/c/0/0/0"), None)[1],
    "a short chunk": lambda nodes, entries: entries.update({"aggregate/value/c/0/0/0": b"\0" * 8}),
    "big-endian numbers": big_endian,
    "an array that is not declared": lambda nodes, entries: entries.update({"aggregate/more/zarr.json": b"{}"}),
    "an array that is not there": lambda nodes, entries: nodes.update({"aggregate/more": nodes["aggregate/value"]}),
    "no dimensions": lambda nodes, entries: nodes["aggregate/value"].pop("dimension_names") and None,
    "no metadata": lambda nodes, entries: nodes.clear(),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_an_archive_that_asks_for_more_than_its_bytes_is_refused(tmp_path, change):
    path = archive_of(tmp_path, CHANGES[change])
    if change == "nothing":
        assert same(read_archive(path), result(2).tree)
        return
    with pytest.raises(Corrupt):
        read_archive(path)


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_refused(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(Corrupt):
        read_archive(tmp_path / "a.zip")


def test_equal_results_give_equal_bytes_and_keep_their_order(tmp_path):
    for name in ("a", "b"):
        write_archive(result(2).tree, tmp_path / name)
        time.sleep(0.01)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = read_archive(tmp_path / "a")
    assert list(found.children) == ["posterior", "shells", "aggregate"]
    assert list(found["aggregate"].data_vars) == ["value", "standard_error", "n", "bound", "flags"]


class Refusing(MemoryFileSystem):
    """A store that answers everything with one error."""

    protocol = "refusing"
    error: Exception = PermissionError("Access Denied")

    def ls(self, path, detail=True, **options):
        raise self.error

    find = info = ls


FAULTS = {
    "denied": (PermissionError("Access Denied"), EnvironmentFault, "denies access"),
    "no bucket": (FileNotFoundError("The specified bucket does not exist"), ConfigurationError, "no results at"),
    "no network": (OSError("Could not connect to the endpoint"), EnvironmentFault, "cannot reach"),
    "a fault of its package": (RuntimeError("two\nlines"), EnvironmentFault, "two lines"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("verb", ["status", "summary", "verify", "gather", "export"])
def test_whatever_a_store_answers_is_one_sentence(fault, verb, monkeypatch, capsys):
    error, kind, words = FAULTS[fault]
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    monkeypatch.setattr(Refusing, "error", error)
    more = {"gather": ["--into", "all"], "export": ["all"]}.get(verb, [])
    code, out, err = answers([verb, "refusing://bucket/results", *more], capsys)
    assert (code, out, err.count("\n")) == (kind.exit_code, "", 1)
    assert err.startswith("error: ")
    assert "refusing://bucket/results" in err
    assert words in err


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nope://bucket/results", "nope"),
        ("s3://me:pass-word@bucket/results", "without credentials"),
        ("s3://", "s3://"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_no_secret_is_printed(place, words, capsys):
    code, out, err = answers(["status", place], capsys)
    assert (code, out, err.count("\n")) == (ConfigurationError.exit_code, "", 1)
    assert words in err
    assert "pass-word" not in err


@pytest.mark.slow
def test_a_missing_package_is_named_with_what_installs_it():
    program = "import sys; sys.modules['zarr'] = None; from study.cli import main; main(['status', 'memory://a/b'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert "pip install latent-study[objects]" in done.stderr
    assert done.stderr.startswith("error: ")


@pytest.mark.slow
def test_folders_need_neither_zarr_nor_a_protocol():
    program = "import sys, study.cli.summary, study.cli.status; print({'zarr', 's3fs'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("words", [["diagnose", "codes.npz", "--results", "s3://bucket/results"]])
def test_a_url_is_refused_where_only_a_folder_can_be_written(words, capsys):
    assert answers(words, capsys)[0] == ConfigurationError.exit_code
    assert not Path("s3:").exists()


@pytest.fixture
def computed(monkeypatch):
    """Keys of the cells that are computed, by something that takes no time."""
    keys = []

    def run_cell(cell, workspace, **_):
        keys.append(cell.key)
        return result(cell.latent_dim)

    monkeypatch.setattr("study.run.launch.run_cell", run_cell)
    return keys


RUN = ["run", "smoke", "latent_dim=2,8", "seeds=2", "prior=standard_normal", "--workers", "1", "--no-report"]


def test_a_run_publishes_and_another_users_computes_nothing_twice(url, computed, cache, capsys):
    code, out, err = answers([*RUN, "--results", url], capsys)
    assert code == 0, err
    assert f"results: {url}/smoke\n" in out
    assert len(computed) == 2
    there = Published(Objects.at(f"{url}/smoke/cells"))
    assert set(there.listing().cells) == set(computed)
    cache("another user's")
    assert answers([*RUN, "--results", url], capsys)[0] == 0
    assert answers([*RUN, "--results", f"{url}/"], capsys)[0] == 0
    assert len(computed) == 2
    assert "2 cells: 2 done" in answers([*RUN, "--results", url, "--dry-run"], capsys)[1]


@IN_MEMORY
def test_a_program_runs_a_study_at_a_url(url, computed):
    small = Study.load("smoke").override(["latent_dim=2,8", "seeds=2", "prior=standard_normal"])
    store = run(small, results=url, workers=1, device="cpu", progress=False)
    assert set(store.known_keys()) == set(computed) == set(_keys_at(url))


def _keys_at(url):
    return Published(Objects.at(f"{url}/smoke/cells")).listing().cells


@IN_MEMORY
def test_what_could_not_be_published_is_by_the_next_run(url, computed, monkeypatch, capsys):
    def unreachable(self, *_):
        raise EnvironmentFault("cannot reach it")

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "upload", unreachable)
        code, _, err = answers([*RUN, "--results", url], capsys)
    assert (code, len(computed)) == (EnvironmentFault.exit_code, 2)
    assert "2 cells are stored in" in err
    assert "cannot reach it" in err
    assert answers([*RUN, "--results", url], capsys)[0] == 0
    assert len(computed) == 2
    assert set(Published(Objects.at(f"{url}/smoke/cells")).listing().cells) == set(computed)
