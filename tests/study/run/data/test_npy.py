"""Images in a file that need not fit into memory: the same results, bit for bit, as of images in memory."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from study.design.cell import Cell
from study.errors import DataError, EnvironmentFault
from study.measurement import classifier
from study.measurement.stored_images import StoredImages
from study.run import experiment
from study.run.data import binarisation
from study.run.data.loading import load
from study.run.data.packed import packed

ROOT = Path(__file__).parents[4]

SMALL = {
    "dataset": "npy",
    "latent_dim": 2,
    "seeds": 2,
    "network": {"name": "mlp", "hidden": [8]},
    "train": {"epochs": 3, "batch_size": 16},
    "evaluate": {"draws": 40, "components": [1], "covariances": ["diagonal"], "densities": ["moment_normal"]}
    | {"importance": [1, 5], "importance_images": 20, "samples": 60, "two_sample_draws": 40, "refinement": 5}
    | {"annealing": 2, "annealing_temperatures": 3, "features": ["untrained"]},
}


@pytest.fixture
def root(tmp_path):
    """Eight by eight pixels of three classes, whose mean levels differ."""
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 3
    levels = generator.integers(0, 86, (300, 8, 8)) + 80 * labels[:, None, None]
    np.save(tmp_path / "images.npy", levels.astype(np.uint8))
    np.save(tmp_path / "labels.npy", labels + 10)
    return tmp_path


def in_memory(data):
    return replace(data, images=data.images[:], held_out_images=data.held_out_images[:])


def test_the_files_say_what_the_images_are(root):
    data = load("npy", root=root)
    assert isinstance(data.images, StoredImages)
    assert data.class_names == ("10", "11", "12")
    assert (len(data.images), len(data.held_out_images), data.image_shape) == (240, 60, (1, 8, 8))
    levels, labels = np.load(root / "images.npy"), np.load(root / "labels.npy")
    seen = torch.cat([data.images[:], data.held_out_images[:]])
    assert sorted(seen.sum((1, 2, 3)).tolist()) == pytest.approx(sorted((levels / 255).sum((1, 2)).tolist()), rel=1e-5)
    brightest = data.images[:].mean((1, 2, 3))[data.labels == 2]
    assert brightest.min() > (levels[labels < 12].mean((1, 2)) / 255).max()
    np.save(root / "test_images.npy", levels[:7, None])
    np.save(root / "test_labels.npy", labels[:7])
    published = load("npy", root=root)
    assert (len(published.images), len(published.held_out_images)) == (300, 7)
    assert torch.equal(published.images[:7], published.held_out_images[:])
    assert published.checksum != data.checksum
    (root / "labels.npy").unlink()
    (root / "test_labels.npy").unlink()
    assert load("npy", root=root).class_names == ("0",)


def test_rows_chunks_and_subsets_are_those_of_a_tensor(root):
    stored = load("npy", root=root).images
    whole, rows = stored[:], torch.tensor([5, 3, 3, 200])
    assert torch.equal(stored[rows], whole[rows])
    assert torch.equal(stored[4:9], whole[4:9])
    assert torch.equal(stored.subset(rows)[torch.tensor([2, 0])], whole[rows][[2, 0]])
    assert [len(chunk) for chunk in stored.split(100)] == [100, 100, 40]
    assert torch.equal(torch.cat(list(stored.split(100))), whole)
    assert torch.equal(stored.map(lambda images: 1 - images)[rows], 1 - whole[rows])
    assert (stored.shape, len(stored)) == (whole.shape, len(whole))
    size = load("npy", root=root, image_size=4)
    assert size.images.shape[1:] == size.images[:2].shape[1:] == (1, 4, 4)


@pytest.mark.parametrize("how", ["none", "threshold", "fixed", "dynamic"])
def test_binarised_images_are_those_of_images_in_memory(root, how):
    data = load("npy", root=root)
    stored, there = binarisation.binarised(data, how), binarisation.binarised(in_memory(data), how)
    assert isinstance(stored.images, StoredImages)
    assert torch.equal(stored.images[:], there.images)
    assert torch.equal(stored.held_out_images[:], there.held_out_images)
    redrawn = (binarisation.redraw(images, replicate=1, epoch=2) for images in (data.images, data.images[:]))
    assert torch.equal(*(images[:] for images in redrawn))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"train.engine": "eager"}, {"train.engine": "eager", "binarisation": "none"}, {"train.engine": "compiled"}],
    ids=str,
)
def test_a_cell_has_the_same_result_to_the_last_bit(root, tmp_path, monkeypatch, settings):
    """Weights, curves, and every number, with pixels drawn anew by epoch, limits, streamed codes, and a classifier."""
    monkeypatch.setattr(classifier, "MIN_IMAGES_SEEN", 2_000)
    train = SMALL["train"] | {"engine": settings["train.engine"]}
    cell = Cell.from_config(
        SMALL | {"train": train, "limit": 200, "binarisation": settings.get("binarisation", "dynamic")}
    )
    results = []
    load_images = experiment.load_images
    for name in ("stored", "memory"):
        if name == "memory":
            monkeypatch.setattr(experiment, "load_images", lambda cell, root: in_memory(load_images(cell, root)))
        workspace = tmp_path / name
        workspace.mkdir()
        results.append(experiment.run_cell(cell, workspace, device="cpu", data_root=root, report=lambda progress: None))
    stored, memory = results
    assert stored.weights.keys() == memory.weights.keys()
    for name, value in memory.weights.items():
        np.testing.assert_array_equal(stored.weights[name], value, name)
    xr.testing.assert_identical(stored.tree, memory.tree)


class Stopped(KeyboardInterrupt):
    pass


@pytest.mark.slow
def test_a_stopped_training_goes_on_where_it_was(root, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "MIN_IMAGES_SEEN", 2_000)
    monkeypatch.setattr("study.run.training.loop.REPORT_SECONDS", 0.0)
    cell = Cell.from_config(SMALL | {"train": SMALL["train"] | {"engine": "eager"}})
    seen = []

    def stop(progress):
        seen.append(progress)
        if len(seen) == 20:
            raise Stopped

    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = experiment.run_cell(cell, tmp_path / "whole", device="cpu", data_root=root, report=lambda progress: None)
    with pytest.raises(Stopped):
        experiment.run_cell(cell, tmp_path / "stopped", device="cpu", data_root=root, report=stop)
    again = experiment.run_cell(cell, tmp_path / "stopped", device="cpu", data_root=root, report=lambda progress: None)
    xr.testing.assert_identical(again.tree, whole.tree)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("images.npy", np.zeros((4, 8, 8), np.float32), "uint8 of shape"),
        ("images.npy", np.zeros((4, 8), np.uint8), "uint8 of shape"),
        ("images.npy", np.zeros((0, 8, 8), np.uint8), "uint8 of shape"),
        ("images.npy", np.zeros((1, 8, 8), np.uint8), "labels for 1 images"),
        ("images.npy", np.zeros((300, 8, 8), np.uint8), "all 300 images are alike"),
        ("images.npy", np.array([None, 1]), "no whole array file"),
        ("images.npy", b"no array", "no whole array file"),
        ("images.npy", b"", "no whole array file"),
        ("images.npy", None, "and there is none"),
        ("labels.npy", np.zeros(300), "whole numbers"),
        ("labels.npy", np.zeros(299, np.int64), "299 labels for 300 images"),
        ("test_images.npy", np.zeros((5, 9, 9), np.uint8), "shape"),
    ],
)
def test_files_that_are_no_such_images_are_one_sentence(root, name, content, says):
    if isinstance(content, np.ndarray):
        np.save(root / name, content, allow_pickle=True)
    elif content is not None:
        (root / name).write_bytes(content)
    else:
        (root / name).unlink()
    with pytest.raises(DataError, match=says):
        load("npy", root=root)


def test_a_file_that_was_cut_short_is_refused(root):
    path = root / "images.npy"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="no whole array file"):
        load("npy", root=root)


def test_a_cache_without_room_is_one_sentence(monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(EnvironmentFault, match=r"No space left on device.*LATENT_STUDY_CACHE"):
        packed([], 10, (1, 8, 8), torch.device("cpu"))


LARGE = """
import resource, sys
from pathlib import Path
import numpy as np
from study.design.cell import Cell
from study.run.experiment import load_images, run_cell

root, workspace = Path(sys.argv[1]), Path(sys.argv[2])
cell = Cell.from_config({
    "dataset": "npy", "latent_dim": 2, "seeds": 1, "network": {"name": "mlp", "hidden": [8]}, "binarisation": "fixed",
    "train": {"updates": 20, "engine": "eager"},
    "evaluate": {"draws": 20, "components": [1], "covariances": ["diagonal"], "densities": [], "importance": [],
                 "samples": 0, "two_sample_draws": 0, "omit": ["growth"]},  # whose densities take 0.3 GB at a time
})
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
taken = int(status["VmData"].split()[0]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (taken + int(sys.argv[3]), resource.RLIM_INFINITY))
result = run_cell(cell, workspace, device="cpu", data_root=root, report=lambda progress: None)
print("trained on", result.details["training_images"])
try:
    load_images(cell, root).images[:]
except (RuntimeError, MemoryError):
    print("too large for memory")
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of private memory is Linux's")
def test_a_data_set_larger_than_memory_is_trained_on_and_measured(tmp_path):
    """A file of 0.6 GB, 2.5 GB as floats, where 0.5 GB of memory are allowed beyond those of the libraries."""
    shape = (200_000, 3, 32, 32)
    levels = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, shape)
    levels[:50] = np.random.default_rng(0).integers(0, 256, (50, *shape[1:]))
    levels.flush()
    (tmp_path / "workspace").mkdir()
    command = [sys.executable, "-c", LARGE, str(tmp_path), str(tmp_path / "workspace"), str(500_000_000)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, env=environment)
    assert done.stdout.splitlines() == ["trained on 160000", "too large for memory"], done.stderr
