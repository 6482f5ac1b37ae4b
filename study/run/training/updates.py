"""Updates: the sequence of updates of a cell's replicates, whoever asks for them and whatever is done in between.

Replicates of one group share a program. Each group has inputs, a state and an engine of its own, and replicates have
the same random numbers however they are grouped. One process makes the updates, or several, each of which computes its
share of every batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.objectives import Objective
from models.vae import VAE
from study.design.cell import Train
from study.measurement.stored_images import Images
from study.run.training.batches import Batches, ImagesOf
from study.run.training.choice import Choice, Engine, build, choose, faster_apart
from study.run.training.ranks import Ranks
from study.run.training.schedule import Course
from study.run.training.share import Share
from study.run.training.state import State, Tensors
from study.run.training.step import noise_shapes

_WORTH_A_TRIAL = 100
"""Updates below which a trial of four or five takes too large a part."""


class Updates:
    """The updates of some replicates, in place.

    vaes: the replicates, S of them.
    objective: what is minimised.
    images: ``(N, *image_shape)``, or a function of replicate and epoch.
    train: how.
    beta: factor on the latent term.
    first_seed: seed of the first replicate's order, noise and pixels; those of the others follow it.
    share: the part of each batch that this process computes.

    Raises ConfigurationError where a batch cannot be shared equally, or the schedule does not fit the updates.
    """

    def __init__(
        self,
        vaes: Sequence[VAE],
        objective: Objective,
        images: Images | ImagesOf,
        train: Train,
        *,
        beta: float,
        first_seed: int,
        share: Share,
    ) -> None:
        self._vaes, self._objective, self._images, self._train = list(vaes), objective, images, train
        self._beta, self._first_seed, self.share = beta, first_seed, share
        example = images(0, 0) if callable(images) else images
        batch = _floats(example[: min(train.batch_size, len(example))])
        self._shapes = noise_shapes(vaes[0], objective, batch)
        own = batch[share.rows(len(batch))]
        self._own_shapes = noise_shapes(vaes[0], objective, own) if share.size > 1 else None
        self.course = Course(train, len(example), beta)
        self.together, self.alone = [list(range(len(vaes)))], [[r] for r in range(len(vaes))]
        self.group(self.alone if train.replicates == "one_by_one" else self.together)

    @property
    def images_per_update(self) -> int:
        """Images that an update reads, of all replicates and all processes."""
        return len(self._vaes) * self.batches[0].batch.indices.shape[1] * self.share.size

    @property
    def device(self) -> torch.device:
        """On which they are made."""
        return self.states[0].count.device

    def group(self, groups: list[list[int]]) -> None:
        """Makes ``groups`` of the replicates, with inputs and state of each as before the first update."""
        self.groups = groups
        self.batches = [
            Batches(
                self._images,
                [self._first_seed + r for r in group],
                self._train.batch_size,
                self._shapes,
                share=self.share,
                own_shapes=self._own_shapes,
            )
            for group in groups
        ]
        self.states = [State.initial(self._members(group)) for group in groups]

    def choose(self) -> Choice:
        """The engine to make them with; the replicates are grouped as it can, and stand before the first update."""
        if self.share.size > 1:
            return Choice("eager", f"{self.share.size} processes share each batch")
        choice = self._choose()
        # Some parts can be traced and not mapped: their replicates run one after another.
        if self.groups == self.together != self.alone and (not choice.traceable or self._faster_apart(choice)):
            self.group(self.alone)
            choice = self._choose()
        self.group(self.groups)  # the choice has drawn noise: start afresh
        return choice

    def _choose(self) -> Choice:
        self.start_epoch(0)
        self.batches[0].fill(0, self._beta, self._train.learning_rate)
        return choose(
            self._members(self.groups[0]),
            self._objective,
            self.states[0],
            self.batches[0].batch,
            asked=self._train.engine,
            updates=self.course.updates * len(self.groups),
            programs=len(self.groups),
            bf16=self._bf16,
        )

    def _faster_apart(self, choice: Choice) -> bool:
        """Whether the replicates are left to us to group, share a program as they are, and lose by it."""
        if self._train.replicates != "auto" or choice.engine == "eager" or self.course.updates < _WORTH_A_TRIAL:
            return False
        return faster_apart(self._vaes, self._objective, self.states[0], self.batches[0].batch, bf16=self._bf16)

    def agree(self, ranks: Ranks, epoch: int = 0, position: int = 0) -> tuple[int, int]:
        """Takes up state, random numbers and place, ``epoch`` and ``position``, of the first of ``ranks``; its place.

        ranks: all of them call this.
        epoch: where the first process stands.
        position: of the next update within it.
        """
        place = torch.tensor([len(self.groups), epoch, position])
        ranks.copy_first([place])
        groups, epoch, position = place.tolist()
        if groups != len(self.groups):
            self.group(self.together if groups == 1 else self.alone)
        for state, batches in zip(self.states, self.batches, strict=True):
            generators = batches.generator_states()
            ranks.copy_first([*state.flat().values(), *generators.values()])
            batches.restore(generators)
        return epoch, position

    def build(self, choice: Choice, ranks: Ranks | None = None) -> None:
        """Builds the engines.

        choice: which.
        ranks: the processes that share each batch, all of which call this; None for this one alone.

        Raises ConfigurationError where a compiled engine is asked for that cannot be had.
        """
        self._ranks = ranks
        self._engines: list[Engine] = [
            build(
                choice.engine, self._members(group), self._objective, state, batches.batch, bf16=self._bf16, ranks=ranks
            )
            for group, state, batches in zip(self.groups, self.states, self.batches, strict=True)
        ]

    def start_epoch(self, epoch: int) -> None:
        """Shuffles for an epoch, from 0, and redraws images that change by epoch."""
        for batches in self.batches:
            batches.start_epoch(epoch)

    def make(self, epoch: int, position: int) -> Tensor:
        """The update at ``position`` in ``epoch`` of every replicate; the metrics ``(3, S)`` of the state before it."""
        given = self.course.at(self.course.made(epoch, position))
        metrics = []
        for batches, engine in zip(self.batches, self._engines, strict=True):
            batches.fill(position, *given)
            metrics.append(engine.step())
        joined = torch.cat(metrics, dim=1) if len(metrics) > 1 else metrics[0]
        return joined if self._ranks is None else self._ranks.mean(joined)

    def write_back(self) -> None:
        """Copies each replicate's state into its module."""
        for group, state in zip(self.groups, self.states, strict=True):
            state.write_to(self._members(group))

    def tensors(self) -> Tensors:
        """States of replicates and of generators, for a checkpoint."""
        tensors: Tensors = {}
        for index, (state, batches) in enumerate(zip(self.states, self.batches, strict=True)):
            tensors |= {f"group{index}/{name}": tensor for name, tensor in state.flat().items()}
            tensors |= batches.generator_states()
        return tensors

    def restore(self, tensors: Tensors) -> None:
        """Takes up what :meth:`tensors` gave, of the same groups; raises Corrupt or KeyError for other tensors."""
        for index, (state, batches) in enumerate(zip(self.states, self.batches, strict=True)):
            prefix = f"group{index}/"
            state.copy_from({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
            batches.restore(tensors)

    def _members(self, group: list[int]) -> list[VAE]:
        return [self._vaes[r] for r in group]

    @property
    def _bf16(self) -> bool:
        return self._train.precision == "bf16"


def _floats(images: Tensor) -> Tensor:
    return images if images.is_floating_point() else images.float()
