"""MNIST's relatives: read by torchvision, verified, fetched, and every way in which their files can be wrong."""

from __future__ import annotations

import gc
import gzip
import hashlib
import os
import socket
import struct
import tempfile
import urllib.error
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from study.design.families import DATASETS
from study.errors import DataError
from study.run.data.loading import load
from study.run.data.resizing import resized

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SOURCES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
REAL = Path(os.environ.get("LATENT_STUDY_DATA") or "absent")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">{1 + values.ndim}I", 0x0800 + values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


def small_arrays() -> dict[str, np.ndarray]:
    """30 training and 12 test images of 28×28 with labels below 10."""
    random = np.random.default_rng(0)
    return {
        FILES[0]: random.integers(0, 256, (30, 28, 28)),
        FILES[1]: np.arange(30) % 10,
        FILES[2]: random.integers(0, 256, (12, 28, 28)),
        FILES[3]: np.arange(12)[::-1] % 10,
    }


def write_raw(root: Path, source: str) -> Path:
    raw = root / source / "raw"
    raw.mkdir(parents=True)
    for name, values in small_arrays().items():
        (raw / name).write_bytes(idx(values))
    return raw


@pytest.fixture
def released() -> Iterator[None]:
    """Collects the answers that torchvision leaves open while their warnings are still this test's."""
    yield
    gc.collect()


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which a server on this computer publishes it."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def publish(folder: Path, dataset: str, monkeypatch: pytest.MonkeyPatch, address: str = "http://127.0.0.1:9/") -> None:
    """Puts archives of the small files into ``folder``; torchvision's class expects them, at ``address``."""
    import torchvision.datasets

    resources = []
    for name, values in small_arrays().items():
        packed = gzip.compress(idx(values), mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    reader = getattr(torchvision.datasets, SOURCES[dataset])
    monkeypatch.setattr(reader, "resources", resources)
    monkeypatch.setattr(reader, "mirrors", [address])
    trust(dataset, monkeypatch)


def trust(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the small files the published ones of a data set whose raw checksums are known."""
    if DATASETS[dataset].sha256:
        digests = {name: sha256(idx(values)) for name, values in small_arrays().items()}
        monkeypatch.setattr(DATASETS[dataset], "sha256", digests)


def tree(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


@pytest.mark.parametrize("name", SOURCES)
def test_idx_files_are_read_by_torchvision(name, tmp_path, monkeypatch):
    import torchvision.datasets

    raw = write_raw(tmp_path, SOURCES[name])
    trust(name, monkeypatch)
    data, arrays = load(name, root=tmp_path), small_arrays()
    for images, file in ((data.images, FILES[0]), (data.held_out_images, FILES[2])):
        assert np.array_equal(images.numpy(), (arrays[file].astype(np.float32) / np.float32(255))[:, None])
    assert data.labels.tolist() == arrays[FILES[1]].tolist()
    assert data.held_out_labels.tolist() == arrays[FILES[3]].tolist()
    assert data.class_names == tuple(getattr(torchvision.datasets, SOURCES[name]).classes)
    listing = "".join(f"{sha256((raw / file).read_bytes())}  {file}\n" for file in FILES)
    assert data.checksum == sha256(listing.encode())
    assert data.verification == ("SHA-256" if name == "mnist" else "structure only")
    assert tree(tmp_path) == sorted(f"{SOURCES[name]}/raw/{file}" for file in FILES)


def test_size_32_pads_and_others_resample(tmp_path):
    write_raw(tmp_path, "KMNIST")
    plain, padded = load("kmnist", root=tmp_path), load("kmnist", root=tmp_path, image_size=32)
    assert padded.image_shape == (1, 32, 32)
    assert torch.equal(padded.images[..., 2:30, 2:30], plain.images)
    assert padded.images.sum() == pytest.approx(float(plain.images.sum()), rel=1e-6)
    assert torch.equal(load("kmnist", root=tmp_path, image_size=14).images, resized(plain.images, 14))


def test_mnist_of_other_bytes_is_refused(tmp_path):
    raw = write_raw(tmp_path, "MNIST")
    with pytest.raises(DataError, match="train-images-idx3-ubyte is not the published file: SHA-256") as caught:
        load("mnist", root=tmp_path)
    assert str(raw) in str(caught.value)


@pytest.mark.parametrize("missing", [FILES, FILES[:1], FILES[3:]])
@pytest.mark.parametrize("name", SOURCES)
def test_absent_files_are_named_with_the_place_and_the_remedy(name, missing, tmp_path):
    raw = write_raw(tmp_path, SOURCES[name])
    for file in missing:
        (raw / file).unlink()
    with pytest.raises(DataError) as caught:
        load(name, root=tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{name}: expected {', '.join(missing)} in {raw}, not found")
    assert "--data-root" in message
    assert "dataset=digits" in message


def header(magic: int, *sizes: int) -> bytes:
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes)


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        (0, lambda good: good[:-1], "is 23,535 bytes long, where its header promises 23,536"),
        (0, lambda good: good + b"\0", "is 23,537 bytes long"),
        (0, lambda good: b"", "is 0 bytes long, shorter than the header"),
        (0, lambda good: good[:15], "shorter than the header"),
        (0, lambda good: gzip.compress(good, mtime=0), "begins with 0x1f8b0800"),
        (
            0,
            lambda good: b"<html>not found</html>",
            "begins with 0x3c68746d, where 0x00000803 is expected",
        ),
        (0, lambda good: header(0x803, 30, 27, 28) + good[16:], "has images of 27×28 pixels, where 28×28"),
        (0, lambda good: header(0x803, 0, 28, 28), "holds no items"),
        (0, lambda good: header(0xD03, 30, 28, 28) + good[16:], "begins with 0x00000d03"),
        (1, lambda good: good[:-1], "is 37 bytes long, where its header promises 38"),
        (2, lambda good: good[:5000], "is 5,000 bytes long"),
        (3, lambda good: b"\0" * 20, "begins with 0x00000000, where 0x00000801 is expected"),
    ],
)
def test_a_corrupt_file_is_named_with_its_fault(file, content, fault, tmp_path):
    path = write_raw(tmp_path, "FashionMNIST") / FILES[file]
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(DataError, match=fault) as caught:
        load("fashion_mnist", root=tmp_path)
    assert str(caught.value).startswith(f"{path} is corrupt: it ")


@pytest.mark.parametrize(("file", "images"), [(1, 30), (3, 12)])
def test_labels_and_images_of_different_number(file, images, tmp_path):
    path = write_raw(tmp_path, "KMNIST") / FILES[file]
    path.write_bytes(idx(np.zeros(5)))
    with pytest.raises(DataError, match=f"{FILES[file]} has 5 labels for {images} images; replace both"):
        load("kmnist", root=tmp_path)


@pytest.mark.parametrize(("file", "count"), [(1, 30), (3, 12)])
def test_a_label_without_a_class(file, count, tmp_path):
    path = write_raw(tmp_path, "KMNIST") / FILES[file]
    path.write_bytes(idx(np.full(count, 10)))
    with pytest.raises(DataError, match=f"{FILES[file]} has label 10, where labels below 10 are expected"):
        load("kmnist", root=tmp_path)


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    write_raw(tmp_path, "KMNIST")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte cannot be read \(Permission denied\)"):
        load("kmnist", root=tmp_path)


def test_torchvisions_old_format_is_not_read_in_place_of_the_verified_files(tmp_path):
    write_raw(tmp_path, "KMNIST")
    legacy = tmp_path / "KMNIST" / "processed"
    legacy.mkdir()
    for split in ("training", "test"):
        torch.save((torch.zeros(3, 28, 28, dtype=torch.uint8), torch.zeros(3)), legacy / f"{split}.pt")
    with pytest.raises(DataError, match=f"old format from {legacy}"):
        load("kmnist", root=tmp_path)


def test_the_variable_is_used_by_load(monkeypatch, tmp_path):
    write_raw(tmp_path, "KMNIST")
    monkeypatch.setenv("LATENT_STUDY_DATA", str(tmp_path))
    assert len(load("kmnist").images) == 30


def test_archives_beside_the_files_verify_them(tmp_path, monkeypatch):
    raw = write_raw(tmp_path, "FashionMNIST")
    publish(raw, "fashion_mnist", monkeypatch)
    assert load("fashion_mnist", root=tmp_path).verification == "MD5"
    (raw / f"{FILES[1]}.gz").unlink()
    assert load("fashion_mnist", root=tmp_path).verification == "MD5, structure only"


def test_an_archive_of_other_bytes(tmp_path, monkeypatch):
    raw = write_raw(tmp_path, "FashionMNIST")
    publish(raw, "fashion_mnist", monkeypatch)
    (raw / f"{FILES[2]}.gz").write_bytes(gzip.compress(b"other"))
    with pytest.raises(DataError, match=f"{FILES[2]}.gz does not have torchvision's MD5"):
        load("fashion_mnist", root=tmp_path)


def test_a_file_that_differs_from_its_archive(tmp_path, monkeypatch):
    raw = write_raw(tmp_path, "FashionMNIST")
    publish(raw, "fashion_mnist", monkeypatch)
    content = bytearray((raw / FILES[0]).read_bytes())
    content[100] ^= 1
    (raw / FILES[0]).write_bytes(content)
    with pytest.raises(DataError, match=f"{FILES[0]} differs from the content of {FILES[0]}.gz"):
        load("fashion_mnist", root=tmp_path)


@pytest.mark.parametrize("name", SOURCES)
def test_absent_files_are_fetched_and_verified(name, mirror, tmp_path, monkeypatch):
    folder, address = mirror
    publish(folder, name, monkeypatch, address)
    root = tmp_path / "new" / "root"
    data = load(name, root=root, download=True)
    assert data.verification == ("SHA-256" if name == "mnist" else "MD5")
    assert tree(root) == sorted(f"{SOURCES[name]}/raw/{file}{end}" for file in FILES for end in ("", ".gz"))
    assert not [path for path in root.iterdir() if path.name.startswith(".")]
    for file in folder.iterdir():
        file.unlink()
    assert torch.equal(load(name, root=root, download=True).images, data.images)


def test_archives_that_are_there_are_unpacked_without_a_network(tmp_path, monkeypatch):
    raw = tmp_path / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    publish(raw, "kmnist", monkeypatch)
    assert load("kmnist", root=tmp_path, download=True).verification == "MD5"


def incomplete(mirror: Path) -> None:
    (mirror / f"{FILES[3]}.gz").unlink()


def corrupt(mirror: Path) -> None:
    (mirror / f"{FILES[2]}.gz").write_bytes(b"<html>moved</html>")


@pytest.mark.usefixtures("released")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("fault", "reason"), [(incomplete, "HTTP Error 404"), (corrupt, "File not found or corrupted")]
)
def test_a_failed_download_says_so_and_leaves_nothing(fault, reason, mirror, tmp_path, monkeypatch):
    folder, address = mirror
    publish(folder, "kmnist", monkeypatch, address)
    fault(folder)
    root = tmp_path / "root"
    with pytest.raises(
        DataError, match=f"^kmnist: expected its files in .*, and fetching them failed .*{reason}"
    ) as error:
        load("kmnist", root=root, download=True)
    assert "\n" not in str(error.value)
    assert "--data-root" in str(error.value)
    assert list(root.rglob("*")) == []
    assert socket.getdefaulttimeout() is None


@pytest.mark.usefixtures("released")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_network_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/", "http://127.0.0.1:9/second/"])
    with pytest.raises(DataError, match=r"^mnist: .* failed \(urlopen error .*Connection refused\); give the folder"):
        load("mnist", root=tmp_path, download=True)
    assert list(tmp_path.rglob("*")) == []


def test_a_download_never_replaces_a_file(mirror, tmp_path, monkeypatch):
    folder, address = mirror
    publish(folder, "kmnist", monkeypatch, address)
    raw = tmp_path / "root" / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / FILES[0]).write_bytes(b"mine")
    with pytest.raises(DataError, match=f"{FILES[0]} is corrupt"):
        load("kmnist", root=tmp_path / "root", download=True)
    assert (raw / FILES[0]).read_bytes() == b"mine"


def test_a_download_into_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"fetching them failed .*Not a directory"):
        load("kmnist", root=tmp_path / "file" / "root", download=True)


def sparse(path: Path, start: bytes, size: int = 40 * 10**9) -> None:
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)


@pytest.mark.parametrize(
    ("file", "start", "fault"),
    [
        (0, b"", "begins with 0x00000000, where 0x00000803 is expected"),
        (0, header(0x803, 60_000, 28, 28), "is 40,000,000,000 bytes long, where its header promises 47,040,016"),
        (1, header(0x801, 60_000), "is 40,000,000,000 bytes long, where its header promises 60,008"),
        (3, b"PK", "begins with 0x504b0000"),
    ],
)
def test_the_header_is_looked_at_before_the_file_is_read(file, start, fault, tmp_path, monkeypatch):
    path = write_raw(tmp_path, "KMNIST") / FILES[file]
    sparse(path, start)
    real = Path.read_bytes

    def read(other: Path) -> bytes:
        assert other != path, "the file was read"
        return real(other)

    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(DataError, match=fault):
        load("kmnist", root=tmp_path)


def test_a_large_file_with_a_right_header_and_a_large_archive_are_not_read(tmp_path, monkeypatch):
    raw = write_raw(tmp_path, "KMNIST")
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    sparse(raw / FILES[0], header(0x803, 2_000_000, 28, 28), 16 + 2_000_000 * 784)
    with pytest.raises(DataError, match="is 1,568,000,016 bytes long, where at most 1,073,741,824 are read"):
        load("kmnist", root=tmp_path)


def near_kaggle(root: Path) -> str:
    raw = root / "KMNIST" / "raw"
    for name in FILES:
        (raw / name).rename(raw / name.replace("-idx", ".idx"))
    return f"train-images.idx3-ubyte is there: rename or move it to .*{FILES[0]}"


def near_folders(root: Path) -> str:
    raw = root / "KMNIST" / "raw"
    for name in FILES:
        content = (raw / name).read_bytes()
        (raw / name).unlink()
        (raw / name).mkdir()
        (raw / name / name).write_bytes(content)
    return f"{FILES[0]} is a folder: move the file that it holds"


def near_archives(root: Path) -> str:
    raw = root / "KMNIST" / "raw"
    for name in FILES:
        (raw / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes()))
        (raw / name).unlink()
    return f"{FILES[0]}.gz is there, which is not the published archive in its place: unpack it to .*{FILES[0]}"


def near_flat(root: Path) -> str:
    for name in FILES:
        (root / "KMNIST" / "raw" / name).rename(root / name)
    return f"{FILES[0]} is there: rename or move it to .*KMNIST/raw/{FILES[0]}"


def near_capitals(root: Path) -> str:
    raw = root / "KMNIST" / "raw"
    (raw / FILES[2]).rename(raw / "T10K-images_idx3-ubyte")
    return "T10K-images_idx3-ubyte is there: rename"


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("spoil", [near_kaggle, near_folders, near_archives, near_flat, near_capitals])
def test_files_under_other_names_are_recognised(spoil, offline, tmp_path, monkeypatch):
    write_raw(tmp_path, "KMNIST")
    message = spoil(tmp_path)
    missing = [name for name in FILES if not (tmp_path / "KMNIST" / "raw" / name).is_file()]
    if offline:
        monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(DataError, match=message) as caught:
        load("kmnist", root=tmp_path, download=offline)
    assert ", ".join(missing) in str(caught.value)
    assert "--data-root" in str(caught.value)
    assert "\n" not in str(caught.value)


def unreachable(*_, **__):
    raise urllib.error.URLError("Name or service not known")


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("wrong", ["KMNIST", "KMNIST/raw", ".."])
def test_a_data_root_one_level_off_is_recognised(wrong, offline, tmp_path, monkeypatch):
    write_raw(tmp_path / "data", "KMNIST")
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    root = (tmp_path / "data" / wrong).resolve()
    with pytest.raises(DataError) as caught:
        load("kmnist", root=root, download=offline)
    right = tmp_path / "data"
    assert f"the files lie in {right / 'KMNIST' / 'raw'}: give {right} as --data-root" in str(caught.value)
    assert all(name in str(caught.value) for name in FILES)
    assert tree(tmp_path) == sorted(f"data/KMNIST/raw/{file}" for file in FILES)


@pytest.mark.parametrize("error", [urllib.error.URLError("Name or service not known"), KeyboardInterrupt()])
def test_a_mistyped_data_root_is_not_created(error, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise error

    monkeypatch.setattr("urllib.request.urlopen", stopped)
    aside = tmp_path / "temporary"
    aside.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(aside))
    root = tmp_path / "mistyped" / "root"
    with pytest.raises((DataError, KeyboardInterrupt)):
        load("fashion_mnist", root=root, download=True)
    assert not root.parent.exists()
    assert list(aside.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_write_permission_is_found_before_the_download(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"fetching them failed .*Permission denied"):
        load("kmnist", root=tmp_path / "closed" / "root", download=True)


@pytest.mark.timeout(30)
def test_a_pipe_in_the_place_of_a_file_is_never_opened(tmp_path):
    raw = write_raw(tmp_path, "KMNIST")
    (raw / FILES[0]).unlink()
    os.mkfifo(raw / FILES[0])
    os.mkfifo(raw / f"{FILES[1]}.gz")
    with pytest.raises(DataError, match=f"expected {FILES[0]} in .*, not found"):
        load("kmnist", root=tmp_path)


@pytest.mark.skipif(not (REAL / "MNIST" / "raw").is_dir(), reason="LATENT_STUDY_DATA holds no MNIST/raw")
def test_the_real_mnist():
    data = load("mnist", root=REAL)
    assert data.images.shape == (60_000, 1, 28, 28)
    assert data.held_out_images.shape == (10_000, 1, 28, 28)
    assert data.verification == "SHA-256"
    # Published figures: mean and standard deviation of the training pixels, and how often each digit occurs.
    assert float(data.images.double().mean()) == pytest.approx(0.1307, abs=5e-5)
    assert float(data.images.double().std()) == pytest.approx(0.3081, abs=5e-5)
    assert data.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.held_out_labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert not rows(data.images) & rows(data.held_out_images)
