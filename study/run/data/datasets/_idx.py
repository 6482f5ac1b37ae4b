"""Idx: data sets in MNIST's file format, read by torchvision's own classes from ``ROOT/<class>/raw``.

An idx file is a big-endian header (two zero bytes, the type 0x08 = uint8, the number of dimensions; then each size)
followed by the values (LeCun, Cortes & Burges). A file is verified by its structure and, where one is known, by a
checksum: the SHA-256 of the raw file, or torchvision's MD5 of the ``.gz`` archive beside it, which torchvision keeps.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import shutil
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from study.errors import DataError
from study.images import ImageData, checksum, digest, resized
from study.run.data.datasets._base import Dataset

SIDE = 28
TIMEOUT_SECONDS = 30.0
FILES = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}
"""Number of dimensions of each raw file, in the order of the checksum."""


class Idx(Dataset):
    """28×28 grey images that torchvision's class ``source`` reads; its test set is held out.

    ``image_size=32`` pads with two background pixels on each side (as LeNet-5 did, LeCun et al. 1998), which keeps the
    strokes as they are; any other size resamples.
    """

    image_shape = (1, 28, 28)
    source: ClassVar[str]
    sha256: ClassVar[Mapping[str, str]] = {}
    """Checksums of the raw files, where they are known."""

    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """Verified files of ``root``; absent ones are fetched first if ``download``."""
        # Not at the top of the file: torchvision takes seconds to import.
        from torchvision import datasets  # noqa: PLC0415

        reader = getattr(datasets, self.source)
        raw = root / self.source / "raw"
        missing = [name for name in FILES if not (raw / name).is_file()]
        if missing and not download:
            raise DataError(f"{self.name}: expected {', '.join(missing)} in {raw}, not found; {self._remedy}")
        if missing:
            self._download(reader, root)
        legacy = root / self.source / "processed"
        if legacy.exists():
            raise DataError(
                f"{self.name}: torchvision would read its old format from {legacy} in place of the verified raw files; "
                "remove or rename that folder"
            )

        digests, checks = self._verify(raw, reader)
        training, held_out = reader(root, train=True), reader(root, train=False)
        return ImageData(
            name=self.name,
            images=_pixels(training.data, image_size),
            labels=training.targets,
            held_out_images=_pixels(held_out.data, image_size),
            held_out_labels=held_out.targets,
            class_names=tuple(reader.classes),
            checksum=checksum(digests),
            verification=", ".join(sorted(checks)),
        )

    def _verify(self, raw: Path, reader: Any) -> tuple[dict[str, str], set[str]]:
        """SHA-256 of each file, and against what the files were checked."""
        md5 = {Path(archive).stem: value for archive, value in reader.resources}
        digests, checks, counts = {}, set(), []
        for name, dims in FILES.items():
            path = raw / name
            content = _content(path)
            counts.append(_count(path, content, dims))
            if dims == 1 and counts[-1] != counts[-2]:
                raise DataError(f"{path} has {counts[-1]:,} labels for {counts[-2]:,} images; replace both files")
            if dims == 1 and max(content[8:]) >= len(reader.classes):
                raise DataError(
                    f"{path} has label {max(content[8:])}, where labels below {len(reader.classes)} are expected; "
                    "delete it and fetch it again"
                )
            digests[name] = digest(content)
            checks.add(self._check(path, content, digests[name], md5[name]))
        return digests, checks

    @property
    def _remedy(self) -> str:
        return (
            f"give the folder that holds {self.source}/raw as --data-root or LATENT_STUDY_DATA, "
            "or use dataset=digits, which needs no files"
        )

    def _download(self, reader: Any, root: Path) -> None:
        """Fetches by torchvision into a folder aside; only complete, verified files move to their place."""
        raw = root / self.source / "raw"
        try:
            root.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=root, prefix=".download-") as aside, _timeout():
                fetched = Path(aside) / self.source / "raw"
                fetched.mkdir(parents=True)
                for archive in raw.glob("*.gz"):
                    shutil.copy(archive, fetched)
                reader(aside, download=True)
                raw.mkdir(parents=True, exist_ok=True)
                for file in fetched.iterdir():
                    if not (raw / file.name).exists():
                        os.replace(file, raw / file.name)
        except (OSError, RuntimeError, HTTPException) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip("<>")
            raise DataError(
                f"{self.name}: expected its files in {raw}, and fetching them failed ({reason}); {self._remedy}"
            ) from error

    def _check(self, path: Path, content: bytes, sha256: str, archive_md5: str) -> str:
        """What the structurally valid ``content`` of ``path`` was checked against."""
        if path.name in self.sha256:
            if sha256 != self.sha256[path.name]:
                raise DataError(
                    f"{path} is not the published file: SHA-256 {sha256[:12]}… where {self.sha256[path.name][:12]}… is "
                    "expected; delete it and fetch it again"
                )
            return "SHA-256"
        archive = path.with_name(f"{path.name}.gz")
        if not archive.is_file():
            return "structure only"
        packed = _content(archive)
        if hashlib.md5(packed, usedforsecurity=False).hexdigest() != archive_md5:
            raise DataError(f"{archive} does not have torchvision's MD5 {archive_md5}; delete it and fetch it again")
        if gzip.decompress(packed) != content:
            raise DataError(f"{path} differs from the content of {archive.name}; unpack the archive again")
        return "MD5"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); make it readable") from error


def _count(path: Path, content: bytes, dims: int) -> int:
    """Number of items of an idx file whose structure is right."""
    header = 4 * (1 + dims)
    if len(content) < header:
        fault = f"is {len(content):,} bytes long, shorter than the header of an idx file"
    else:
        magic, count, *sides = struct.unpack_from(f">{1 + dims}I", content)
        expected = header + count * math.prod(sides)
        if magic != 0x0800 + dims:
            fault = f"begins with 0x{magic:08x}, where 0x{0x0800 + dims:08x} is expected"
        elif any(side != SIDE for side in sides):
            fault = f"has images of {'×'.join(map(str, sides))} pixels, where {SIDE}×{SIDE} are expected"
        elif len(content) != expected:
            fault = f"is {len(content):,} bytes long, where its header promises {expected:,}"
        elif count == 0:
            fault = "holds no items"
        else:
            return int(count)
    raise DataError(f"{path} is corrupt: it {fault}; delete it and fetch it again")


def _pixels(levels: Tensor, image_size: int | None) -> Tensor:
    images = levels.unsqueeze(1).float().div_(255)
    return F.pad(images, (2, 2, 2, 2)) if image_size == SIDE + 4 else resized(images, image_size)


@contextmanager
def _timeout() -> Iterator[None]:
    """torchvision opens addresses without a limit of time; a host that does not answer would hold the study up."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
