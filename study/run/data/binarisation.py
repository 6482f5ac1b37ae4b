"""Binarisation: from grey pixels x ∈ [0, 1] to b ∈ {0, 1}, so that a Bernoulli likelihood is a normalised density.

- ``none``: b = x.
- ``threshold``: b = 1[x > 1/2].
- ``dynamic``: b ~ Bernoulli(x), drawn anew in every epoch (Burda et al. 2016, arXiv:1509.00519), so that E b = x.
- ``fixed``: b ~ Bernoulli(x), drawn once (Salakhutdinov & Murray 2008; Larochelle & Murray 2011).

Draws are seeded by what they are for and by nothing else: by (replicate, epoch) in training, so that a resumed run sees
the same pixels and replicate r of every cell shares its noise, and by the split alone where the draw is made once. They
are the same on every run of one kind of device; CPU and CUDA generators differ. A float32 variate has 24 bits, so
P(b = 1) exceeds x by less than 2⁻²⁴.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from analysis.randomness import stream
from study.design.cell import Binarisation
from study.measurement.images import ImageData
from study.measurement.stored_images import Images, StoredImages
from study.run.data.packed import packed

_BLOCK_PIXELS = {"cpu": 2**15, "cuda": 2**26}
"""Pixels drawn at a time, by the type of the device. On a CPU the variates stay in cache, and no block is large enough
for torch to wake its threads. A GPU draws 256 MiB at once: in small blocks, each of which is two launches, the
images of MNIST are three thousand launches in each epoch."""


def binarise(images: Images, how: Binarisation, *, generator: torch.Generator) -> Images:
    """Images binarised, of the same shape, type and device; of stored images, draws are stored, too.

    images: ``(N, …)`` in [0, 1].
    how: the kind of binarisation.
    generator: of the draws, on the images' device.
    """
    match how:
        case "none":
            return images
        case "threshold":
            return images.map(_cut) if isinstance(images, StoredImages) else _cut(images)
        case "dynamic" | "fixed":
            return _bernoulli(images, generator)
    raise ValueError(f"binarisation must be none, threshold, dynamic or fixed; got {how!r}")


def redraw(images: Images, *, replicate: int, epoch: int) -> Images:
    """The dynamic binarisation of the training ``images`` that ``replicate`` sees in ``epoch``."""
    return _bernoulli(images, stream(replicate, "binarisation", epoch, device=images.device))


def binarised(data: ImageData, how: Binarisation) -> ImageData:
    """Both splits binarised once: what is measured and, except under ``dynamic``, what is trained on.

    data: grey images.
    how: the kind of binarisation.
    """
    train, held_out = (stream(0, "binarisation", split, device=data.images.device) for split in ("train", "held out"))
    return replace(
        data,
        images=binarise(data.images, how, generator=train),
        held_out_images=binarise(data.held_out_images, how, generator=held_out),
    )


def _cut(images: Tensor) -> Tensor:
    return (images > 0.5).to(images.dtype)


def _bernoulli(images: Images, generator: torch.Generator) -> Images:
    if isinstance(images, StoredImages):
        return packed(_draws(images, generator), len(images), images.shape[1:], images.device)
    binary = torch.empty_like(images, memory_format=torch.contiguous_format)
    block = _block(images)
    variates = torch.empty_like(binary[:block])
    for target, probability in zip(binary.split(block), images.split(block), strict=True):
        torch.lt(variates[: len(target)].uniform_(generator=generator), probability, out=target)
    return binary


def _block(images: Images) -> int:
    """Images that are drawn at a time."""
    return max(1, _BLOCK_PIXELS[images.device.type] // images.shape[1:].numel())


def _draws(images: StoredImages, generator: torch.Generator) -> Iterator[Tensor]:
    """The same pixels as of images in memory, bool, chunk by chunk."""
    block = _block(images)
    variates = torch.empty(block, *images.shape[1:], device=images.device)
    for probability in images.split(block):
        yield variates[: len(probability)].uniform_(generator=generator) < probability


def realistic(data: ImageData, how: Binarisation) -> ImageData:
    """Images on the scale of likelihood means of a VAE that is trained on binarised ones.

    data: grey images.
    how: the kind of binarisation.
    """
    return binarised(data, "threshold" if how == "threshold" else "none")
