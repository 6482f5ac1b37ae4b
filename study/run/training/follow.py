"""Follow: the updates of a training in each of its processes but the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from analysis.float32 import full_float32
from analysis.randomness import seeded, stream
from models.objectives import Objective
from models.vae import VAE
from study.design.cell import Train
from study.measurement.stored_images import Images
from study.run.training.batches import ImagesOf
from study.run.training.ranks import Seat, join
from study.run.training.updates import Updates


def follow(
    vaes: Sequence[VAE],
    objective: Objective,
    images: Images | ImagesOf,
    train: Train,
    *,
    beta: float,
    first_seed: int,
    seat: Seat,
    ready: Callable[[], None],
) -> None:
    """Makes the updates that the leader makes, from where it stands to the last, unless it ends this process before.

    vaes, objective, images, train, beta, first_seed: those of the leader, see :func:`study.run.training.fit`.
    seat: the place of this process.
    ready: called when nothing but the others is waited for.

    Raises RuntimeError where one of the others is lost.
    """
    with full_float32(next(vaes[0].parameters()).device), seeded(stream(0, "training")):
        updates = Updates(vaes, objective, images, train, beta=beta, first_seed=first_seed, share=seat.share)
        ready()
        ranks = join(seat)  # for as long as this process is there, which the leader ends
        epoch, position = updates.agree(ranks)
        updates.build(updates.choose(), ranks)
        for number in range(epoch, updates.course.epochs):
            updates.start_epoch(number)
            for place in range(position if number == epoch else 0, updates.course.length(number)):
                updates.make(number, place)
