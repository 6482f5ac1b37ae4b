"""Checkpoint: one safetensors file that holds a training run between two updates, its JSON header included.

Tensors: the state, the best parameters so far, the generators' states. Header: position (epoch, batch within it),
engine and curves. A checkpoint whose tensors are not those of the run is refused by ``State.copy_from``. Written
aside, flushed to disk and renamed, so that a crash leaves the previous one whole.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from study.errors import DataError

FILE_NAME = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Tensors by name and a JSON-serialisable header."""

    tensors: dict[str, Tensor]
    header: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Replaces the checkpoint in ``folder``."""
        target, aside = folder / FILE_NAME, folder / f"{FILE_NAME}.writing"
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        save_file(tensors, aside, metadata={"header": json.dumps(self.header)})
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(target)

    @classmethod
    def load(cls, folder: Path) -> Checkpoint | None:
        """The checkpoint in ``folder``, or None where there is none; a damaged one is a :class:`DataError`."""
        path = folder / FILE_NAME
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {})["header"])
                return cls({name: file.get_tensor(name) for name in file.keys()}, header)  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise DataError(f"the checkpoint {path} is damaged ({error}); delete it to train this cell anew") from error
