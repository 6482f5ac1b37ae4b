"""Batches: the fixed tensors that the updates read, refilled before each update.

Replicate r of every cell sees the same order of images, the same binarisation and the same noise (common random
numbers): all three are seeded by r (and the epoch), never by the cell. Engines keep the tensors' addresses, so they
are written in place.

Of images in memory, an update reads its rows of all; of stored ones, the batch itself is what is in memory, and its
images are read from the file before the update.

Where several processes share a training, each draws order and noise of the whole batch and takes its part of them, so
that the batch is the same however many they are; it reads no image but its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from analysis.randomness import stream
from study.design.length import per_epoch
from study.measurement.stored_images import Images, StoredImages
from study.run.training.share import Share
from study.run.training.step import Batch

ImagesOf = Callable[[int, int], Images]
"""(replicate, epoch) → that replicate's images ``(N, *image_shape)`` of that epoch."""

_WHOLE = Share()


class Batches:
    """Draws the batches of some replicates.

    images: images ``(N, *image_shape)`` that all replicates share for good, or a function that gives each replicate's
        images of an epoch.
    replicates: seeds of the replicates, ``(S,)``.
    batch_size: B, at most N; the last, incomplete batch of an epoch is left out.
    noise_shapes: per-replicate shapes that one update asks for.
    share: the part of each batch that this process computes.
    own_shapes: per-replicate shapes that this part asks for; None: those of the whole.
    """

    def __init__(
        self,
        images: Images | ImagesOf,
        replicates: Sequence[int],
        batch_size: int,
        noise_shapes: Sequence[torch.Size],
        *,
        share: Share = _WHOLE,
        own_shapes: Sequence[torch.Size] | None = None,
    ) -> None:
        self._images = images if callable(images) else None
        self._replicates = list(replicates)
        example = images(self._replicates[0], 0) if callable(images) else images
        device, count = example.device, len(self._replicates)
        self.num_images = len(example)
        self._batch_size = min(batch_size, self.num_images)
        self._share, self._rows = share, share.rows(self._batch_size)
        own_size = self._rows.stop - self._rows.start
        indices = torch.zeros(count, own_size, dtype=torch.int64, device=device)
        self._stored: list[StoredImages] = []
        if isinstance(example, StoredImages):
            self._stored = [example] * count
            source = torch.empty(count, own_size, *example.shape[1:], device=device)
            indices += torch.arange(own_size, device=device)
        elif callable(images):
            source = torch.empty(count, *example.shape, dtype=example.dtype, device=device)
        else:
            source = example[None]
        self.updates_per_epoch = per_epoch(self._batch_size, self.num_images)
        self._order = torch.empty(0)
        self._generators = [stream(r, "training noise", device=device) for r in self._replicates]
        self._noise = [torch.zeros(count, *shape, device=device) for shape in noise_shapes]
        self.batch = Batch(
            source,
            indices,
            [torch.zeros(count, *shape, device=device) for shape in own_shapes] if own_shapes else self._noise,
            *(torch.ones((), device=device) for _ in ("latent_scale", "learning_rate", "generative")),
        )

    def start_epoch(self, epoch: int) -> None:
        """Shuffles, and redraws binary images where they change by epoch."""
        used = self.updates_per_epoch * self._batch_size
        orders = [torch.randperm(self.num_images, generator=stream(r, "order", epoch))[:used] for r in self._replicates]
        stacked = torch.stack(orders).reshape(len(orders), self.updates_per_epoch, self._batch_size)
        self._order = stacked[:, :, self._rows].transpose(0, 1).contiguous().to(self.batch.indices.device)
        if self._images is not None:
            for index, replicate in enumerate(self._replicates):
                drawn = self._images(replicate, epoch)
                if isinstance(drawn, StoredImages):
                    self._stored[index] = drawn
                else:
                    self.batch.source[index].copy_(drawn)

    def fill(self, position: int, latent_scale: float, learning_rate: float, generative: float = 1.0) -> None:
        """Writes the inputs of an update.

        position: its number within the epoch, from 0.
        latent_scale: factor on the latent term.
        learning_rate: of Adam.
        generative: 1 where decoder and prior move, 0 where the encoder alone does.
        """
        if self._stored:
            for row, images, chosen in zip(self.batch.source, self._stored, self._order[position], strict=True):
                row.copy_(images[chosen])
        else:
            self.batch.indices.copy_(self._order[position])
        for whole, own in zip(self._noise, self.batch.noise, strict=True):
            for row, generator in zip(whole, self._generators, strict=True):
                torch.randn(row.shape, generator=generator, device=row.device, out=row)
            own.copy_(self._share.noise(whole, own.shape[1:], self._batch_size))
        self.batch.latent_scale.fill_(latent_scale)
        self.batch.learning_rate.fill_(learning_rate)
        self.batch.generative.fill_(generative)

    def generator_states(self) -> dict[str, Tensor]:
        """States of the noise generators, by replicate."""
        return {f"generator/{r}": g.get_state() for r, g in zip(self._replicates, self._generators, strict=True)}

    def restore(self, states: dict[str, Tensor]) -> None:
        """Takes up the noise where :meth:`generator_states` left it."""
        for replicate, generator in zip(self._replicates, self._generators, strict=True):
            generator.set_state(states[f"generator/{replicate}"])
