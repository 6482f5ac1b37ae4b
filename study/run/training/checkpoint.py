"""Checkpoint: one safetensors file that holds a training run between two updates, its JSON header included.

Tensors: the state, the best parameters so far, the generators' states. Header: whose run it is, position (epoch, batch
within it), engine and curves. A SHA-256 of all of it stands beside the header, so that no flipped bit is trained on.

The two last checkpoints are kept. One that is damaged, or another run's, is set aside for inspection, beside the folder
of the run, and the one before it is taken. Written aside, flushed to disk and renamed, so that a crash leaves the
previous one whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from study.files import own_folder, printable, replacing, set_aside
from study.store.reading import Corrupt, regular

log = logging.getLogger(__name__)

FILE_NAME, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"

MAX_BYTES = 2**35
"""Largest number of bytes that is read of a checkpoint: 32 GiB."""


class Checkpoint(NamedTuple):
    """A training run between two updates.

    tensors: by name.
    header: JSON values.
    """

    tensors: dict[str, Tensor]
    header: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one run.

    folder: where they lie.
    identity: names the run: what is trained, on which images. Checkpoints of another identity are not resumed.
    """

    folder: Path
    identity: str

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes the newest; the one that was becomes the previous one."""
        target = self.folder / FILE_NAME
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
        header = json.dumps({"identity": self.identity, **checkpoint.header})
        own_folder(self.folder)  # it may have been moved away, or exchanged for a link, since training began
        with replacing(target) as path:
            save_file(tensors, path, metadata={"header": header, "digest": _digest(header, tensors)})
            if target.exists():
                target.replace(self.folder / PREVIOUS)

    def newest(self) -> Checkpoint | None:
        """The newest sound one, or None; those that are not sound are discarded on the way."""
        while (path := self._path()) is not None:
            try:
                return self._read(path)
            except Corrupt as error:
                self.discard(error)
        return None

    def discard(self, why: Corrupt) -> None:
        """Sets the newest one aside, beside its folder, and says so in the log."""
        path = self._path()
        if path is not None:
            aside = set_aside(path, beside=self.folder)
            log.warning("a checkpoint is set aside as %s: %s", printable(aside), printable(str(why)))

    def _path(self) -> Path | None:
        paths = (self.folder / name for name in (FILE_NAME, PREVIOUS))
        return next((path for path in paths if os.path.lexists(path)), None)

    def _read(self, path: Path) -> Checkpoint:
        with regular(path, MAX_BYTES) as place, safe_open(place, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata.get("digest") != _digest(metadata.get("header", ""), tensors):
                raise Corrupt(f"{path.name} has other bytes than were written")
            header = json.loads(metadata["header"])
            if header.pop("identity") != self.identity:
                raise Corrupt(f"{path.name} is another cell's, or of other images")
        return Checkpoint(tensors, header)


def _digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the header and of every tensor's name, type, shape and bytes."""
    digest = hashlib.sha256(header.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(memoryview(tensor.reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()
