"""Idx: data sets in MNIST's file format, read by torchvision's own classes from ``ROOT/<class>/raw``.

A file is verified by its structure (:mod:`study.run.data.idx_files`) and, where one is known, by a checksum: the
SHA-256 of the raw file, or torchvision's MD5 of the ``.gz`` archive beside it, which torchvision keeps.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, override

from torch import Tensor
from torch.nn import functional as F

from study.errors import DataError
from study.measurement.images import ImageData, checksum, digest
from study.run.data.datasets._base import Dataset
from study.run.data.idx_files import FILES, SIDE, advice, read_all, read_idx
from study.run.data.resizing import resized

TIMEOUT_SECONDS = 30.0


class Idx(Dataset):
    """28×28 grey images that torchvision's class ``source`` reads; its test set is held out.

    ``image_size=32`` pads with two background pixels on each side (as LeNet-5 did, LeCun et al. 1998), which keeps the
    strokes as they are; any other size resamples.
    """

    image_shape = (1, 28, 28)
    num_images = 60_000
    num_held_out = 10_000
    source: ClassVar[str]
    sha256: ClassVar[Mapping[str, str]] = {}
    """Checksums of the raw files, where they are known."""

    @override
    def read(self, root: Path, *, image_size: int | None, download: bool) -> ImageData:
        """Verified files of ``root``; absent ones are fetched first if ``download``."""
        # Not at the top of the file: torchvision takes seconds to import.
        from torchvision import datasets  # noqa: PLC0415

        reader = getattr(datasets, self.source)
        raw = root / self.source / "raw"
        missing = [name for name in FILES if not (raw / name).is_file()]
        if missing and not download:
            raise DataError(
                f"{self.name}: expected {', '.join(missing)} in {raw}, not found; {self._remedy(root, missing)}"
            )
        if missing:
            self._download(reader, root, missing)
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
            count, content = read_idx(path)
            counts.append(count)
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

    def _remedy(self, root: Path, missing: list[str]) -> str:
        near = advice(root, self.source, missing)
        return (
            f"{near}{'; or ' if near else ''}give the folder that holds {self.source}/raw as --data-root or "
            "LATENT_STUDY_DATA, or use dataset=digits, which needs no files"
        )

    def _download(self, reader: Any, root: Path, missing: list[str]) -> None:
        """Fetches by torchvision into a folder aside; only complete, verified files move to their place.

        Aside is among the computer's temporary files, so that neither a failure nor a kill leaves anything in ``root``,
        which is made once there is something to put into it.
        """
        raw = root / self.source / "raw"
        try:
            _require_writable(raw)
            with TemporaryDirectory(prefix="latent-study-") as aside, _timeout():
                fetched = Path(aside) / self.source / "raw"
                fetched.mkdir(parents=True)
                for archive in raw.glob("*.gz"):
                    if archive.is_file():
                        shutil.copy(archive, fetched)
                reader(aside, download=True)
                raw.mkdir(parents=True, exist_ok=True)
                for file in fetched.iterdir():
                    if not (raw / file.name).exists():
                        _move(file, raw)
        except (OSError, RuntimeError, HTTPException) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip("<>")
            raise DataError(
                f"{self.name}: expected its files in {raw} ({', '.join(missing)}), and fetching them failed ({reason})"
                f"; {self._remedy(root, missing)}"
            ) from error

    def _check(self, path: Path, content: bytes, sha256: str, archive_md5: str) -> str:
        """Check that the structurally valid ``content`` of ``path`` has passed."""
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
        packed = read_all(archive)
        if hashlib.md5(packed, usedforsecurity=False).hexdigest() != archive_md5:
            raise DataError(f"{archive} does not have torchvision's MD5 {archive_md5}; delete it and fetch it again")
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as unpacked:
            same = unpacked.read(len(content) + 1) == content
        if not same:
            raise DataError(f"{path} differs from the content of {archive.name}; unpack the archive again")
        return "MD5"


def _pixels(levels: Tensor, image_size: int | None) -> Tensor:
    images = levels.unsqueeze(1).float().div_(255)
    return F.pad(images, (2, 2, 2, 2)) if image_size == SIDE + 4 else resized(images, image_size)


def _require_writable(folder: Path) -> None:
    """OSError where ``folder`` cannot be written or made, before anything is fetched for it."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))


def _move(file: Path, folder: Path) -> None:
    """Moves ``file`` into ``folder``, perhaps of another file system, where it appears whole."""
    with TemporaryDirectory(dir=folder, prefix=".arriving-") as aside:
        os.replace(shutil.copyfile(file, Path(aside) / file.name), folder / file.name)


@contextmanager
def _timeout() -> Iterator[None]:
    """torchvision opens addresses without a limit of time; a host that does not answer would hold the study up."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
