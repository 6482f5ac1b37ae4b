"""Observations of a model that was trained elsewhere, apart into those of the aggregate and those held out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.randomness import stream
from study.diagnosis.codes import LEAST_CODES, MOST_HELD_OUT, num_held_out
from study.errors import DataError
from study.measurement.images import ImageData
from study.measurement.replicate import Observations


@dataclass(frozen=True, eq=False)
class Rows:
    """Observations of any kind, such as the numbers of rows of a file of codes.

    images, held_out_images: ``(N, …)`` and ``(M, …)``. labels, held_out_labels: int64, of both.
    numbers: of ``images`` among those that were given, int64 ``(N,)``.
    """

    images: Tensor
    labels: Tensor
    held_out_images: Tensor
    held_out_labels: Tensor
    numbers: Tensor


def split(
    images: Tensor, held_out: Tensor | None, labels: Tensor | None, held_out_labels: Tensor | None
) -> tuple[Rows, str]:
    """Both splits, and a sentence on where the held-out one comes from.

    Args:
        images: observations ``(N, …)``.
        held_out: others ``(M, …)``; None: some of ``images`` are set aside.
        labels: whole numbers ``(N,)``, or None.
        held_out_labels: of ``held_out``, where both are given.

    Raises:
        DataError: where shapes or numbers do not fit.
    """
    for called, part, own in (("images", images, labels), ("held-out images", held_out, held_out_labels)):
        if part is not None and len(part) < LEAST_CODES:
            raise DataError(f"a diagnosis needs at least {LEAST_CODES} {called}; got {len(part)}")
        if own is not None and (part is None or own.shape != part.shape[:1] or own.is_floating_point()):
            raise DataError(f"labels must be whole numbers, one for each of the {called}; got {tuple(own.shape)}")
    if held_out is not None and held_out.shape[1:] != images.shape[1:]:
        raise DataError(
            f"images {tuple(images.shape[1:])} and held-out ones {tuple(held_out.shape[1:])} must be of one shape"
        )
    if held_out is not None and (labels is None) != (held_out_labels is None):
        raise DataError("labels must be given of both images and held-out images (held_out_labels), or of neither")
    own = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels.long()
    if held_out is not None:
        others = torch.zeros(len(held_out), dtype=torch.int64) if held_out_labels is None else held_out_labels.long()
        chosen = torch.arange(len(held_out))
        if len(held_out) > MOST_HELD_OUT:
            chosen = torch.randperm(len(held_out), generator=stream(0, "held-out codes"))[:MOST_HELD_OUT]
        said = f"held-out images were given: {len(held_out):,}, of which {len(chosen):,} are used"
        aside = (held_out[chosen.to(held_out.device)], others[chosen.to(others.device)])
        return Rows(images, own, *aside, torch.arange(len(images))), said
    order = torch.randperm(len(images), generator=stream(0, "held-out codes"))
    num = num_held_out(len(images))
    apart, kept = order[:num].sort().values, order[num:].sort().values
    said = (
        f"no held-out images were given: {num:,} of {len(images):,} were set aside by a seeded split, and unless the "
        "model never saw them they flatter what is certified"
    )
    parts = (images[kept], own[kept.to(own.device)], images[apart], own[apart.to(own.device)])
    return Rows(*parts, kept), said


def as_images(rows: Rows, name: str) -> Observations:
    """``rows`` as images of the data set ``name``, whose labels number their classes from 0."""
    classes, numbered = torch.unique(torch.cat([rows.labels, rows.held_out_labels]), return_inverse=True)
    own, others = numbered.split([len(rows.labels), len(rows.held_out_labels)])
    return ImageData(
        name=name,
        images=rows.images.float(),
        labels=own,
        held_out_images=rows.held_out_images.float(),
        held_out_labels=others,
        class_names=tuple(str(label) for label in classes.tolist()),
        checksum="",
        verification="given",
    )
