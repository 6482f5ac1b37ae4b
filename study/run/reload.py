"""Reload: the trained replicates of a stored cell as models again."""

from __future__ import annotations

from pathlib import Path

from models.vae import VAE
from study.design.cell import Cell
from study.errors import ConfigurationError
from study.run.experiment import load_images, new_replicate
from study.store import Store
from study.store.reading import reading, tensors
from study.store.store import WEIGHTS


def trained_vae(store: Store, key: str, replicate: int, data_root: Path | None = None) -> VAE:
    """One trained replicate on the CPU, in evaluation mode.

    store: the study's results.
    key: of a stored cell.
    replicate: index of the training seed.
    data_root: where data sets are kept; the cell's own must be at hand, as parts may start from its images.

    Raises Corrupt where the cell is not whole or its weights are not this model's, ConfigurationError where it has no
    such replicate or was exported without weights, and DataError where its images are absent.
    """
    manifest = store.verify(key)
    if WEIGHTS not in manifest.files:
        raise ConfigurationError(
            f"expected a cell with weights; got {store.folder(key)}, exported without: name the results it came from"
        )
    cell = Cell.from_config(manifest.config)
    if not 0 <= replicate < cell.seeds:
        raise ConfigurationError(
            f"expected a replicate from 0 to {cell.seeds - 1}; got {replicate}: choose one of them"
        )
    vae = new_replicate(cell, load_images(cell, data_root), replicate)
    with reading(WEIGHTS):
        vae.load_state_dict(tensors(store.folder(key) / WEIGHTS, f"{replicate}/"))
    return vae.eval()
