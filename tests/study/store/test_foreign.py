"""Results that somebody else made: whatever the shape of a file, every verb ends with its code and a sentence."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from study.answers.effects import Effects
from study.cli import main
from study.design.cell import Cell, key_of
from study.errors import ConfigurationError, EnvironmentFault
from study.files import printable
from study.paths import safe_name
from study.run.reload import trained_vae
from study.run.training.checkpoint import Checkpoint, Checkpoints
from study.store.manifest import Manifest, sha256
from study.store.reading import Corrupt, regular
from study.store.schema import check_result
from study.store.store import CELL, MANIFEST, RESULT, WEIGHTS, Store

ROOT = Path(__file__).parents[3]


def estimates(rows, dim, quantities, chains=2):
    shape = (chains, len(rows), len(quantities))
    fields = {"value": 2.0, "standard_error": 0.5, "n": 100, "num_draws": 64, "bound": "unbiased", "flags": ""}
    dims = ("chain", dim, "quantity")
    return xr.Dataset(
        {name: (dims, np.full(shape, value)) for name, value in fields.items()},
        coords={"chain": range(chains), dim: rows, "quantity": quantities},
    )


def tree():
    draws = {name: (("chain", "draw", "split"), np.arange(8.0).reshape(2, 2, 2)) for name in ("log_q", "log_p")}
    return xr.DataTree.from_dict(
        {
            "aggregate": estimates(["train", "held_out"], "split", ["rate", "kl"]),
            "sample_stats": xr.Dataset(draws, coords={"split": ["train", "held_out"]}),
            "log_likelihood": xr.Dataset({"log_px_10": (("chain", "image"), np.arange(20.0).reshape(2, 10))}),
            "training": xr.Dataset({"held_out_loss": (("epoch", "chain"), np.ones((3, 2)))}),
        }
    )


def publish(store, cell):
    with store.lock(cell.key, wait=False):
        store.begin(cell, images="abc")
        result = SimpleNamespace(tree=tree(), weights={"w": np.ones(2, np.float32)}, details={"engine": "none"})
        store.publish(cell, result, images="abc", device="cpu", seconds=1.5, command="run it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A results folder with two whole cells, one failed and one unfinished."""
    results = tmp_path_factory.mktemp("foreign") / "results"
    store = Store(results / "study")
    cells = [Cell.from_config({"latent_dim": dim}) for dim in (2, 4, 8, 16)]
    for cell in cells[:2]:
        publish(store, cell)
    store.fail(cells[2], ValueError("why not"), command="run it")
    store.begin(cells[3], images="abc")
    main(["report", str(results), "--output", str(results / "once.html")])  # imports take longer than any verb
    (results / "once.html").unlink()
    return SimpleNamespace(results=results, store=store, keys=[cell.key for cell in cells])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\x1b]0;x\x07", "../../x", "/etc/x", "a\nb", "\u202e", "9" * 5000, 1e308, 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)

FILES = ["manifest", "failure", "cell"]


def path_of(folder, file):
    store, keys = folder.store, folder.keys
    return {
        "manifest": store.folder(keys[0]) / MANIFEST,
        "failure": store.cells / f"{keys[2]}.failed.json",
        "cell": store.workspace(keys[3]) / CELL,
    }[file]


@st.composite
def forged(draw, original):
    """A record with a field, or a field of its configuration, replaced or dropped; or any JSON; or any bytes."""
    kind = draw(st.sampled_from(["bytes", "json", "field", "field", "config", "config", "config"]))
    if kind == "bytes":
        return draw(st.binary(max_size=40) | st.sampled_from([b"[" * 200_000, b'{"a":' * 100_000, b"\xff\xfe", b"NaN"]))
    if kind == "json":
        return json.dumps(draw(JSON)).encode()
    record = json.loads(original)
    table = record if kind == "field" else record["config"]
    name = draw(st.sampled_from(sorted(table)))
    if isinstance(table[name], dict) and table[name] and draw(st.booleans()):
        table = table[name]
        name = draw(st.sampled_from(sorted(table)))
    if draw(st.booleans()):
        table[name] = draw(JSON)
    else:
        del table[name]
    return json.dumps(record).encode()


def sealed(content, folder):
    """The forged manifest with hashes that are right, as far as it is one: an attacker can compute them too."""
    try:
        record = json.loads(content)
        record["key"] = key_of(record["config"])
        return Manifest(**record).sealed().model_dump_json().encode(), record["key"]
    except Exception:  # whatever is wrong with it, it stays as it is
        return content, None


def said(capsys, words):
    start = time.process_time()
    code = main([str(word) for word in words])
    assert time.process_time() - start < 60.0, "no file makes a command run on"
    out, err = capsys.readouterr()
    assert all(printable(line) == line for line in (out + err).split("\n"))
    assert "Traceback" not in out + err
    return code, out, err


VERBS = {
    "status": (["status"], 0, 24),
    "summary": (["summary"], 0, 12),
    "summary as CSV": (["summary", "--format", "csv"], 0, 6),
    "compare": (["compare"], 0, 4),
    "verdict": (["verdict", "--format", "csv"], 0, 3),
    "effects": (["effects"], 2, 6),
    "report": (["report"], 0, 2),
}
"""Words, exit code and number of examples of the fast suite, a few seconds in all."""

LOOKED_AT = [(verb, file) for verb in VERBS for file in FILES if file == "manifest" or verb in ("status", "report")]
"""Only two verbs look at the records of cells without a result."""


@pytest.mark.parametrize("times", [1, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("verb", "file"), LOOKED_AT)
def test_whatever_the_shape_of_a_record_every_verb_ends_well(folder, capsys, tmp_path_factory, verb, file, times):
    words, expected, examples = VERBS[verb]
    path = path_of(folder, file)
    original = path.read_bytes()
    page = tmp_path_factory.mktemp("page")
    words = [words[0], folder.results, *words[1:], *(["--output", page / "page.html"] if verb == "report" else [])]

    @settings(
        max_examples=times * examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(content=forged(original), seal=st.booleans())
    def holds(content, seal):
        moved = None
        content, key = sealed(content, folder) if seal and file == "manifest" else (content, None)
        path.write_bytes(content)
        if key and key != folder.keys[0] and not folder.store.folder(key).exists():
            moved = folder.store.folder(key)
            path.parent.rename(moved)
        try:
            code, _, err = said(capsys, words)
            assert code == expected, (code, err)
            if moved is None and content != original and verb == "summary" and not key:
                assert f"left out: {path.parent}" in err.replace("\n", "")
        finally:
            if moved:
                moved.rename(path.parent)
            path.write_bytes(original)

    holds()  # fmt: skip


def reseal(folder):
    """A stored cell whose files are not those written, under hashes that are right."""
    record = json.loads((folder / MANIFEST).read_text())
    record["files"] = {name: sha256(folder / name) for name in (RESULT, WEIGHTS)}
    (folder / MANIFEST).write_text(Manifest(**record).sealed().model_dump_json())


def changed(change):
    def harm(folder):
        groups = {name: node.to_dataset() for name, node in tree().children.items()}
        (folder / RESULT).unlink()
        xr.DataTree.from_dict(change(groups)).to_netcdf(folder / RESULT, engine="netcdf4")

    return harm


def bomb(values):
    """A small file that declares many ``values``, which are nowhere in it."""

    def harm(folder):
        import netCDF4

        (folder / RESULT).unlink()
        with netCDF4.Dataset(folder / RESULT, "w") as dataset:
            dataset.createDimension("x", values)
            dataset.createVariable("aggregate", "f4", ("x",), zlib=True, chunksizes=(2**20,), fill_value=1.0)

    return harm


def replaced(groups, name, **variables):
    return groups | {name: groups[name].assign(variables)}


RESULTS = {
    "empty": lambda folder: (folder / RESULT).write_bytes(b""),
    "no netCDF": lambda folder: (folder / RESULT).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200)),
    "a bomb beyond any result": bomb(2**40),
    "a bomb within the limit": bomb(3 * 10**8),
    "a pipe": lambda folder: ((folder / RESULT).unlink(), os.mkfifo(folder / RESULT)),
    "a folder": lambda folder: ((folder / RESULT).unlink(), (folder / RESULT).mkdir()),
    "an endless device": lambda folder: ((folder / RESULT).unlink(), (folder / RESULT).symlink_to("/dev/zero")),
    "no values": changed(lambda g: g | {"aggregate": g["aggregate"].drop_vars("value")}),
    "values that are texts": changed(lambda g: replaced(g, "aggregate", value=g["aggregate"]["flags"])),
    "flags that are numbers": changed(lambda g: replaced(g, "aggregate", flags=g["aggregate"]["value"])),
    "flags with escapes": changed(lambda g: replaced(g, "aggregate", flags=g["aggregate"]["flags"] + "\x1b[2J")),
    "no quantities": changed(lambda g: g | {"aggregate": g["aggregate"].drop_vars("quantity")}),
    "other dimensions": changed(lambda g: g | {"aggregate": g["aggregate"].rename(split="part")}),
    "rows twice": changed(lambda g: g | {"aggregate": g["aggregate"].assign_coords(split=["train", "train"])}),
    "rows that are numbers": changed(lambda g: g | {"aggregate": g["aggregate"].assign_coords(split=[1, 2])}),
    "no replicates": changed(lambda g: g | {"aggregate": g["aggregate"].isel(chain=[])}),
    "a replicate more in one group": changed(lambda g: g | {"aggregate": estimates(["train"], "split", ["kl"], 3)}),
    "negative errors": changed(lambda g: replaced(g, "aggregate", standard_error=g["aggregate"]["n"] * -0.5)),
    "numbers that overflow": changed(lambda g: replaced(g, "sample_stats", log_q=g["sample_stats"]["log_q"] * 1e300)),
    "other replicates than were trained": changed(lambda g: {name: group.isel(chain=[0]) for name, group in g.items()}),
    "counts without end": changed(lambda g: replaced(g, "aggregate", n=g["aggregate"]["value"] * np.inf)),
    "an unknown bound": changed(lambda g: g | {"log_likelihood": g["log_likelihood"].rename(log_px_10="px")}),
    "draws without a split": changed(lambda g: g | {"sample_stats": g["sample_stats"].isel(split=0, drop=True)}),
    "curves with images": changed(lambda g: g | {"training": g["training"].rename(epoch="image")}),
    "groups in groups": changed(lambda g: g | {"aggregate/deeper": g["training"]}),
}


@pytest.fixture
def copy(folder, tmp_path):
    """The folder, to be damaged."""
    shutil.copytree(folder.results, tmp_path / "results")
    return Store(tmp_path / "results" / "study")


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_that_is_none_is_left_out_and_named(copy, folder, capsys, kind):
    place = copy.folder(folder.keys[0])
    RESULTS[kind](place)
    if (place / RESULT).is_file() and not (place / RESULT).is_symlink():
        reseal(place)
    code, out, err = said(capsys, ["summary", copy.root])
    assert code == 0
    assert f"left out: {place}: " in err
    assert len(out.splitlines()) == 2
    code, _, err = said(capsys, ["compare", copy.root])
    assert (code, f"left out: {place}: " in err) == (0, True)


def test_names_that_are_no_keys_are_no_cells(copy, folder, capsys):
    for name in (b".partial", b".failed.json", b"\xff\xfe", "été".encode()):
        os.mkdir(os.fsencode(copy.cells) + b"/" + name)
    assert copy.known_keys() == sorted(folder.keys)
    for words in (["status", copy.root], ["report", copy.root], ["summary", copy.root]):
        code, out, err = said(capsys, words)
        assert code == 0
        assert "absent" not in out + err


def test_status_says_why_a_cell_is_corrupt(copy, folder, capsys):
    (copy.folder(folder.keys[0]) / RESULT).write_bytes(b"cut")
    (copy.folder(folder.keys[1]) / WEIGHTS).unlink()
    (copy.cells / f"{folder.keys[2]}.failed.json").write_text("[" * 200_000)
    (copy.workspace(folder.keys[3]) / CELL).write_text("{}")
    _, out, _ = said(capsys, ["status", copy.root])
    for reason in ("result.nc has other bytes", "weights.safetensors is absent", "failed.json is not readable", CELL):
        assert reason in out
    assert "4 corrupt" in out


def test_the_page_names_what_it_leaves_out(copy, folder, capsys):
    (copy.folder(folder.keys[0]) / WEIGHTS).unlink()
    code, _, err = said(capsys, ["report", copy.root])
    assert code == 0
    assert "weights.safetensors is absent" in err
    text = (copy.root / "report.html").read_text("utf-8")
    assert f"study/{folder.keys[0]}</code>: weights.safetensors is absent" in text


@pytest.mark.parametrize("file", [MANIFEST, RESULT, WEIGHTS])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "dangling link"])
def test_what_is_no_file_is_corrupt_and_hangs_nothing(copy, folder, capsys, file, kind):
    path = copy.folder(folder.keys[0]) / file
    path.unlink()
    makers = {"pipe": os.mkfifo, "folder": os.mkdir}
    targets = {"device": "/dev/zero", "dangling link": "nowhere"}
    makers[kind](path) if kind in makers else path.symlink_to(targets[kind])
    assert said(capsys, ["status", copy.root])[0] == 0
    assert copy.condition(folder.keys[0]) == "corrupt"
    assert said(capsys, ["summary", copy.root])[0] == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("file", [MANIFEST, RESULT, WEIGHTS])
def test_what_may_not_be_read_is_corrupt(copy, folder, capsys, file):
    (copy.folder(folder.keys[0]) / file).chmod(0)
    assert said(capsys, ["status", copy.root])[0] == 0
    assert "not readable: Permission denied" in copy.standing(folder.keys[0]).reasons[0]


def test_every_flipped_bit_of_a_manifest_is_noticed(copy, folder):
    path = copy.folder(folder.keys[0]) / MANIFEST
    original = path.read_bytes()
    for at in range(0, len(original), 7):
        content = bytearray(original)
        content[at] ^= 1 << (at % 8)
        path.write_bytes(content)
        with pytest.raises(Corrupt):
            copy.verify(folder.keys[0])


def test_manifests_of_the_version_before_are_read(copy, folder):
    path = copy.folder(folder.keys[0]) / MANIFEST
    record = json.loads(path.read_text()) | {"schema_version": 3}
    path.write_text(json.dumps({name: value for name, value in record.items() if name != "digest"}))
    assert copy.verify(folder.keys[0]).digest == ""


def test_results_are_readable_to_whom_the_umask_lets(copy, folder):
    before = os.umask(0o027)
    try:
        cell = Cell.from_config({"latent_dim": 32})
        publish(copy, cell)
        copy.fail(Cell.from_config({"latent_dim": 64}), ValueError("x"), command="")
    finally:
        os.umask(before)
    files = [*copy.folder(cell.key).iterdir(), copy.cells / f"{Cell.from_config({'latent_dim': 64}).key}.failed.json"]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}
    assert copy.folder(cell.key).stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("store_it", ["publish", "fail"])
def test_a_results_folder_deleted_meanwhile_is_made_again(copy, store_it):
    cell = Cell.from_config({"latent_dim": 32})
    with copy.lock(cell.key, wait=False):
        workspace = copy.begin(cell, images="abc")
        shutil.rmtree(copy.root.parent)
        Checkpoints(workspace, "a run").save(Checkpoint({"w": torch.ones(2)}, {"epoch": 1}))
        assert Checkpoints(workspace, "a run").newest().header == {"epoch": 1}
        shutil.rmtree(copy.root.parent)
        if store_it == "publish":
            result = SimpleNamespace(tree=tree(), weights={"w": np.ones(2, np.float32)}, details={})
            copy.publish(cell, result, images="abc", device="cpu", seconds=1.5, command="run it")
        else:
            copy.fail(cell, ValueError("why not"), command="run it")
    assert copy.condition(cell.key) == ("done" if store_it == "publish" else "failed")


def test_a_linked_file_is_read_and_held_to_the_same(copy, folder, tmp_path):
    """As the module ``reading`` says: people link large results to another disk."""
    key = folder.keys[0]
    elsewhere = (copy.folder(key) / WEIGHTS).rename(tmp_path / "elsewhere")
    (copy.folder(key) / WEIGHTS).symlink_to(elsewhere)
    assert copy.condition(key) == "done"
    elsewhere.write_bytes(b"changed")
    assert copy.standing(key).reasons == (f"{WEIGHTS} has other bytes than were written",)


WEIGHT_FAULTS = {
    "empty": lambda path: path.write_bytes(b""),
    "no tensors": lambda path: path.write_bytes(b"\xff" * 64),
    "a header without end": lambda path: path.write_bytes((2**60).to_bytes(8, "little") + b"{}"),
    "another model's": lambda path: save_file({"0/w": np.ones(2, np.float32)}, path),
}


@pytest.mark.parametrize("kind", WEIGHT_FAULTS)
@pytest.mark.parametrize("resealed", [True, False])
def test_weights_that_are_none_are_not_loaded(copy, folder, kind, resealed):
    place = copy.folder(folder.keys[0])
    WEIGHT_FAULTS[kind](place / WEIGHTS)
    if resealed:
        reseal(place)
    with pytest.raises(Corrupt, match=WEIGHTS):
        trained_vae(copy, folder.keys[0], 0)


def test_a_replicate_that_was_not_trained_is_refused(copy, folder):
    with pytest.raises(ConfigurationError, match="expected a replicate from 0 to"):
        trained_vae(copy, folder.keys[0], 99)


ESCAPES = ["\x1b]0;pwn\x07\x1b[31mE\x1b[2J", "\x9b2J", "a\nb", "\u202eevil", "\x7f\x08"]


@pytest.mark.parametrize("text", ESCAPES)
def test_what_a_file_says_reaches_the_terminal_without_commands(copy, folder, capsys, text):
    path = copy.cells / f"{folder.keys[2]}.failed.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"message": text, "command": text}))
    code, out, _ = said(capsys, ["status", copy.root])
    assert code == 0
    assert printable(text) in out
    assert text not in out


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", ".", "", ".hidden", "-x", "a\nb", "\x1b[2J", "x" * 300])
def test_names_that_lead_elsewhere_are_no_names(name):
    with pytest.raises(ValueError, match=r"cannot be the name|cannot be shown"):
        safe_name(name)


@pytest.mark.parametrize("name", ["digits", "mnist_5k", "a.b", "größe 2"])
def test_names_of_files(name):
    assert safe_name(name) == name


@pytest.mark.parametrize("dataset", ["../../ESCAPED", "/tmp/ESCAPED", "..", "a/../../b"])
def test_figures_and_effects_are_not_written_elsewhere(copy, folder, capsys, dataset):
    """A manifest whose data set is a path, under a key and hashes that are right."""
    place = copy.folder(folder.keys[0])
    record = json.loads((place / MANIFEST).read_text())
    record["config"]["dataset"] = {"name": dataset}
    record["key"] = key_of(record["config"])
    (place / MANIFEST).write_text(Manifest(**record).sealed().model_dump_json())
    place.rename(copy.folder(record["key"]))
    shutil.rmtree(copy.folder(folder.keys[1]))
    figures = copy.root / "deep" / "figures"
    before = set(copy.root.parents[1].rglob("*"))
    assert said(capsys, ["report", copy.root, "--figures", figures])[0] == 2
    assert said(capsys, ["effects", copy.root])[0] == 2
    assert set(copy.root.parents[1].rglob("*")) == before


def test_links_are_not_followed_where_something_is_written(copy, folder, capsys, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    cell = Cell.from_config({"latent_dim": 8})
    for place in (
        copy.root / ".report.html.writing",
        copy.root / "report.html",
        *(copy.cells / f"{cell.key}{end}" for end in (".failed.writing", ".writing", ".failed.json.writing")),
    ):
        place.symlink_to(victim)  # fmt: skip
    assert said(capsys, ["report", copy.root])[0] == 0
    assert not (copy.root / "report.html").is_symlink()
    publish(copy, cell)
    copy.fail(Cell.from_config({"latent_dim": 16}), ValueError("x"), command="")
    assert victim.read_text() == "precious"
    assert not list(copy.cells.glob(f"{cell.key}*.writing*"))


@pytest.mark.parametrize("name", [MANIFEST, RESULT, WEIGHTS])
@pytest.mark.parametrize("kind", ["pipe", "larger"])
def test_a_file_that_is_replaced_in_the_last_moment_is_looked_at_again(copy, folder, monkeypatch, name, kind):
    """What is checked is the file that is read: one that was put in its place in between neither blocks nor passes."""
    path = copy.folder(folder.keys[0]) / name
    before, stat = path.stat(), os.stat
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(2**36)
    monkeypatch.setattr(os, "stat", lambda place, **way: before if str(place) == str(path) else stat(place, **way))
    with pytest.raises(Corrupt, match=rf"{name} (is no regular file|has .* bytes, more than)"), regular(path, 2**35):
        pytest.fail("it was opened")


def test_a_file_that_is_replaced_while_it_is_read_stays_the_one_that_was_checked(tmp_path):
    path = tmp_path / "a"
    path.write_text("checked")
    with regular(path, 100) as place:
        (tmp_path / "b").write_text("another")
        (tmp_path / "b").replace(path)
        assert place.read_text() == "checked" or not Path("/proc/self/fd").exists()
    assert len(os.listdir("/dev/fd")) < 1_000


@pytest.mark.parametrize("verb", ["effects", "report"])
@pytest.mark.parametrize("kind", ["link to a folder", "link to nothing", "file"])
def test_folders_that_are_links_are_not_written_into(copy, capsys, tmp_path, monkeypatch, verb, kind):
    victim = tmp_path / "victim"
    place = copy.root / "effects" if verb == "effects" else copy.root / "figures" / "digits"
    place.parent.mkdir(exist_ok=True)
    match kind:
        case "link to a folder":
            victim.mkdir()
            place.symlink_to(victim)
        case "link to nothing":
            place.symlink_to(victim)
        case "file":
            place.write_text("precious")
    table = pd.DataFrame({"slope": [0.5]})
    monkeypatch.setattr("study.cli.effects.effects", lambda *_: Effects(table, table))
    words = ["effects", copy.root] if verb == "effects" else ["report", copy.root, "--figures", copy.root / "figures"]
    code, _, err = said(capsys, words)
    assert code == 4
    assert err.splitlines()[-1].startswith("error: cannot write ")
    assert not victim.exists() or not list(victim.iterdir())


@pytest.mark.parametrize("what", ["cells before", "cells meanwhile", "workspace meanwhile"])
def test_cells_are_not_written_through_links(tmp_path, what):
    victim = tmp_path / "victim"
    victim.mkdir()
    store, cell = Store(tmp_path / "results" / "study"), Cell.from_config({"dataset": "digits", "latent_dim": 2})
    store.root.mkdir(parents=True)
    if what == "cells before":
        store.cells.symlink_to(victim)
        with pytest.raises(EnvironmentFault, match="it is a link"), store.lock(cell.key, wait=False):
            pass
    else:
        with store.lock(cell.key, wait=False):
            workspace = store.begin(cell, images="abc")
            swapped = store.cells if what == "cells meanwhile" else workspace
            swapped.rename(tmp_path / "aside")
            swapped.symlink_to(victim)
            checkpoints = Checkpoints(workspace, "identity")
            write = {
                "cells meanwhile": lambda: store.fail(cell, RuntimeError("of the cell"), command=""),
                "workspace meanwhile": lambda: checkpoints.save(Checkpoint({"a": torch.zeros(1)}, {})),
            }
            with pytest.raises((EnvironmentFault, OSError), match="it is a link"):
                write[what]()
    assert not list(victim.iterdir())


@pytest.mark.parametrize("verb", ["status", "summary", "compare", "verdict", "effects", "report"])
@pytest.mark.parametrize("place", ["x" * 5000, "a\x00b", "\x1b[2J"])
def test_results_folders_that_cannot_be(verb, place, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = said(capsys, [verb, place])
    assert code == 2
    assert err.startswith("error: ")
    assert len(err) < 500


@pytest.mark.parametrize("output", ["/", ".", ".."])
def test_a_page_needs_a_name(copy, capsys, output, monkeypatch):
    monkeypatch.chdir(copy.root)
    code, _, err = said(capsys, ["report", copy.root, "--output", output])
    assert code == 2
    assert "--output is the page's file" in err


@pytest.mark.parametrize("damage", ["[", "outcome\nkl\n", "a,b\n1,2\n", "\x00" * 50, "x" * (2**22 + 1)])
def test_tables_of_effects_that_are_none_are_left_out_of_the_page(copy, capsys, damage):
    path = copy.root / "effects" / "digits-kl.csv"
    path.parent.mkdir()
    path.write_text(damage)
    code, _, err = said(capsys, ["report", copy.root])
    assert code == 0
    assert f"left out: {path}" in err


@pytest.mark.parametrize("kind", ["folder", "link to nothing"])
def test_a_lock_that_cannot_be_taken_is_named(copy, folder, kind):
    from study.errors import EnvironmentFault

    path = copy.cells / "0123456789ab.lock"
    path.mkdir() if kind == "folder" else path.symlink_to("nowhere/deeper")
    with (
        pytest.raises(EnvironmentFault, match=r"cannot lock .*0123456789ab.lock"),
        copy.lock("0123456789ab", wait=False),
    ):
        pass


WITHOUT_UNIX = """
import os, signal, sys
# Libraries know Windows: what is tried here are our own files.
import arviz, filelock, matplotlib.pyplot, netCDF4, numba, platformdirs.unix, psutil, pydantic, pyro
import rich.console, safetensors.torch, sklearn, torch, typer, xarray
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGKILL", "pthread_sigmask"):
    delattr(signal, name)
for name in ("fork", "killpg", "O_DIRECTORY", "mkfifo", "sysconf"):
    delattr(os, name)
from study.cli import main
for words in (line.split("|") for line in sys.argv[1:]):
    print("<", main(words), ">", file=sys.stderr)
"""


@pytest.mark.slow
def test_without_what_unix_has_results_are_read_and_a_run_says_what_to_do(copy, tmp_path):
    """What Windows lacks, taken away: a stand-in for that system, which this is not."""
    verbs = [f"{verb}|{copy.root}" for verb in ("status", "summary", "compare", "verdict")]
    lines = [*verbs, f"report|{copy.root}|--output|{tmp_path / 'page.html'}", "list|priors", "run|smoke|--dry-run"]
    command = [sys.executable, "-c", WITHOUT_UNIX, *lines]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert re.findall("< (.) >", done.stderr) == [*"0000", "0", "0", "4"], done.stderr
    assert "in WSL" in done.stderr
    assert (tmp_path / "page.html").stat().st_size > 10_000


FUZZ = """
import random, sys, time
from pathlib import Path
from study.store.netcdf import tree
from study.store.reading import Corrupt
from study.store.schema import check_result
source, scratch, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
original, end, tried = source.read_bytes(), time.monotonic() + seconds, 0
while time.monotonic() < end:
    rng = random.Random(tried)
    content = bytearray(original)
    for _ in range(rng.choice([1, 1, 2, 8, 64])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    scratch.write_bytes(content[: rng.choice([len(content), len(content), rng.randrange(len(content))])])
    print(tried, flush=True)
    try:
        check_result(tree(scratch), 2)
    except Corrupt:
        pass
    tried += 1
print("done", tried)
"""


@pytest.mark.slow
def test_bytes_of_a_result_at_random(folder, tmp_path):
    """In a process of its own, for what it might do to this one; half a minute."""
    command = [sys.executable, "-W", "error", "-c", FUZZ, folder.store.folder(folder.keys[0]) / RESULT]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, tmp_path / "x.nc", "30"], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-200:], done.stderr[-2000:])
    assert int(done.stdout.split()[-1]) > 50


def test_the_schema_takes_what_is_sound():
    check_result(tree(), 2)
