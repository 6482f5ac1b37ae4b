r"""Schedules: the factor on the latent term, the learning rate, and what moves at each update.

KL warm-up raises the latent scale linearly from β/W to β over W updates (Bowman et al. 2016, arXiv:1511.06349), and
cyclical warm-up does so anew in each of M equal cycles of the run (Fu et al. 2019, arXiv:1903.10145, who take half a
cycle for W); M = 1 is the plain one. The cosine schedule lowers the learning rate from its start to zero at the last
update (Loshchilov & Hutter 2017, arXiv:1608.03983).

Aggressive inference lets the encoder catch up with the decoder, so that the decoder does not learn to do without it: in
the first epochs, K updates of the encoder for each of decoder and prior (He et al. 2019, arXiv:1901.05534, who stop
each time where the ELBO stalls, and for good where the mutual information does; here both are numbers).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from study.design.cell import Train
from study.design.length import num_updates, per_epoch
from study.errors import ConfigurationError


class Setting(NamedTuple):
    """Inputs of one update beside its images.

    latent_scale: factor on the latent term.
    learning_rate: of Adam.
    generative: 1 where decoder and prior move, 0 where the encoder alone does.
    """

    latent_scale: float
    learning_rate: float
    generative: float


class Course:
    """The updates of a whole training: how many there are, how they fall into epochs, and what each is given.

    train: the settings; warm-up and aggressive inference are in epochs, which are converted here.
    num_images: training images.
    beta: factor on the latent term after the warm-up.

    Raises ConfigurationError where the cycles of a warm-up do not fit into the updates.
    """

    def __init__(self, train: Train, num_images: int, beta: float) -> None:
        self._train, self._beta = train, beta
        self.per_epoch = per_epoch(train.batch_size, num_images)
        self.updates = num_updates(train.model_dump(), num_images)
        self.epochs = math.ceil(self.updates / self.per_epoch)
        self._warmup = round(train.kl_warmup * self.per_epoch)
        self._cycle = math.ceil(self.updates / train.kl_cycles)
        if train.kl_cycles > 1 and not 0 < self._warmup <= self._cycle:
            raise ConfigurationError(
                f"train.kl_cycles: a warm-up of {self._warmup} updates in each of {train.kl_cycles} cycles must be "
                f"positive and fit into {self.updates} updates; change train.kl_warmup or train.kl_cycles"
            )

    def length(self, epoch: int) -> int:
        """Updates of an epoch, from 0: as many as its images give, fewer where the training ends within it."""
        return max(0, min(self.per_epoch, self.updates - epoch * self.per_epoch))

    def made(self, epoch: int, position: int) -> int:
        """Updates before the one at ``position`` in ``epoch``, both from 0."""
        return min(epoch * self.per_epoch + position, self.updates)

    def at(self, update: int) -> Setting:
        """Inputs of an update, counted from 0."""
        train = self._train
        return Setting(
            latent_scale(update, beta=self._beta, warmup_updates=self._warmup, cycle_updates=self._cycle),
            learning_rate(update, start=train.learning_rate, num_updates=self.updates, schedule=train.schedule),
            generative(
                update,
                encoder_updates=train.encoder_updates,
                aggressive_updates=round(train.aggressive_epochs * self.per_epoch),
            ),
        )


def latent_scale(update: int, *, beta: float, warmup_updates: int, cycle_updates: int) -> float:
    """Factor on the latent term.

    update: number of the update, from 0.
    beta: β.
    warmup_updates: updates after the start of each cycle at which β is reached.
    cycle_updates: updates of a cycle.
    """
    return beta * min(1.0, (update % cycle_updates + 1) / warmup_updates) if warmup_updates else beta


def learning_rate(update: int, *, start: float, num_updates: int, schedule: Literal["constant", "cosine"]) -> float:
    """Learning rate of an update.

    update: its number, from 0.
    start: the rate at the first.
    num_updates: updates of the run.
    schedule: constant, or cosine to zero.
    """
    if schedule == "constant":
        return start
    return 0.5 * start * (1.0 + math.cos(math.pi * update / num_updates))


def generative(update: int, *, encoder_updates: int, aggressive_updates: int) -> float:
    """1 where decoder and prior move, 0 where the encoder alone does.

    update: number of the update, from 0.
    encoder_updates: K, updates of the encoder for each of decoder and prior.
    aggressive_updates: updates for which that holds.
    """
    return float(update >= aggressive_updates or (update + 1) % encoder_updates == 0)
