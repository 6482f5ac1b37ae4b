r"""Length: how long a cell trains, in updates of its weights, the unit in which trainings are compared.

Passes over the images are no such unit: at B images an update, E epochs of N images are

    E ⌊N / min(B, N)⌋ updates,

so that the training would change with the number of images, or of those that an update reads. The last, incomplete
batch of an epoch is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from study.design.families import DATASETS
from study.errors import ConfigurationError

LENGTHS = ("train.epochs", "train.updates")
"""Settings that say how long a cell trains, in either unit."""


def per_epoch(batch_size: int, num_images: int) -> int:
    """Updates in one pass over the images.

    batch_size: images of one update, B; all of them where it is larger.
    num_images: training images, N.
    """
    return num_images // min(batch_size, num_images)


def num_updates(train: Mapping[str, Any], num_images: int) -> int:
    """Updates of a whole training.

    train: its settings by name; ``updates`` counts where it is given, and ``epochs`` else.
    num_images: training images, N.
    """
    return train.get("updates") or train["epochs"] * per_epoch(train["batch_size"], num_images)


def planned_updates(config: Mapping[str, Any], num_images: int | None = None) -> int | None:
    """Updates that a configuration plans; None where it counts epochs and does not say how many updates one has.

    config: of a cell, as :meth:`study.design.cell.Cell.config` gives it, or any part of one.
    num_images: training images, where they have been counted; else the data set's own number, up to the limit.
    """
    train = config.get("train", {})
    if train.get("updates") is not None:
        return int(train["updates"])
    images = _nominal_images(config) if num_images is None else num_images
    return num_updates(train, images) if images is not None and {"epochs", "batch_size"} <= train.keys() else None


def _nominal_images(config: Mapping[str, Any]) -> int | None:
    """Training images as far as a configuration tells; None where its data set's number is not known."""
    name = config.get("dataset", {}).get("name")
    stored = DATASETS.signature(name).num_images if name in DATASETS else None
    limit = config.get("limit")
    return stored if stored is None or limit is None else min(stored, limit)


def other_length(key: str, named: Mapping[str, Any]) -> bool:
    """Whether ``key`` is the length of training in one unit where ``named``, settings by dotted name, has another."""
    return key in LENGTHS and any(other in named for other in LENGTHS if other != key)


def check_one_length(names: Iterable[str], source: str) -> None:
    """Raises ConfigurationError where ``names``, dotted settings out of ``source``, give the length in two units."""
    if {*LENGTHS} <= {*names}:
        raise ConfigurationError(
            f"{source}: {' and '.join(LENGTHS)} are one length in two units; leave out one of them"
        )
