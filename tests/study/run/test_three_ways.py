"""One study run three ways, in a pool, on a Dask cluster and as four parts of an array job: same cells, same bits."""

import sys
from pathlib import Path

import pytest
import torch
import yaml

from study.cli import main
from study.design.study import Study
from study.run.session import run
from study.store.store import WEIGHTS, Store

sys.path.insert(0, str(Path(__file__).parent))

from dask_processes import DaskProcesses

PARTS = 4

LEFT_OUT = """
annealing bubbles calibration classifier decomposition densities divergence flips gain growth kernel_distance likelihood
manifold mixtures moments neighbours novelty realism refinement shells spectrum total_correlation two_sample untrained
"""
"""Estimators that take longer than the training of so small a model."""

DOCUMENT = {
    "settings": {
        "dataset": "digits",
        "limit": 100,
        "network": {"name": "mlp", "hidden": [8]},
        "seeds": 1,
        "train": {"updates": 2, "engine": "eager"},
        "evaluate": {
            "draws": 4,
            "components": [1],
            "covariances": ["diagonal"],
            "densities": [],
            "importance": [1, 2],
            "samples": 10,
            "omit": LEFT_OUT.split(),
        },
    },
    "factors": {
        "prior": ["standard_normal", "gaussian_mixture"],
        "latent_dim": [2, 3, 4, 5],
        "beta": [0.5, 1.0, 2.0, 4.0],
        "train.learning_rate": [1e-3, 2e-3],
    },
}
"""Sixty-four cells, trained and measured as any other, but for a moment each."""


@pytest.fixture
def one_thread():
    """Sums run in the same order in every process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def contents(folder):
    """Result and weights of each cell by key, every byte of which was verified."""
    store = Store(folder)
    whole, corrupt = store.survey()
    assert corrupt == {}
    return {key: (store.read(key), (store.folder(key) / WEIGHTS).read_bytes()) for key in whole}


@pytest.mark.long
@pytest.mark.usefixtures("one_thread")
def test_a_pool_a_cluster_and_an_array_job_compute_the_same_bits(tmp_path):
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    path = tmp_path / "ways.yaml"
    study = Study.from_document("ways", DOCUMENT, str(path))
    path.write_text(yaml.safe_dump(DOCUMENT))
    run(study, results=tmp_path / "pool", workers=2, progress=False)
    (tmp_path / "dask").mkdir()
    cluster = DaskProcesses(tmp_path / "dask", workers=2)
    try:
        run(study, results=tmp_path / "cluster", scheduler=cluster.address, progress=False)
    finally:
        cluster.close()
    parts = [str(tmp_path / f"part-{part}") for part in range(1, PARTS + 1)]
    for part, folder in enumerate(parts, 1):
        words = ["run", str(path), "--shard", f"{part}/{PARTS}", "--workers", "1", "--no-report", "--results", folder]
        assert main(words) == 0
    assert main(["gather", *parts, "--into", str(tmp_path / "gathered")]) == 0
    pool, *others = [contents(tmp_path / way / "ways") for way in ("pool", "cluster", "gathered")]
    assert set(pool) == {cell.key for cell in study.cells()}
    assert len(pool) == 64
    for other in others:
        assert set(other) == set(pool)
        for key, (tree, weights) in pool.items():
            assert other[key][1] == weights
            assert other[key][0].identical(tree)
