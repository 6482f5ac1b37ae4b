"""Leader: the first of several processes of a training, which starts the others and ends them.

It alone evaluates, reports, writes checkpoints and decides when training ends; the others make the same updates until
it ends them. Nothing is lost with them: their state is the leader's. They are workers of :mod:`study.run.workers`, and
so end with the leader however it ends.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, final

import torch

from study.errors import ProcessDied
from study.run.training.ranks import Ranks, Seat, join, on_loopback
from study.run.training.share import Share
from study.run.workers import WorkerDied, Workers

POLL_SECONDS = 0.1

REASON_SECONDS = 2.0
"""Within which the reason for the loss of a connection is heard of."""


class Line(Protocol):
    """The line of another process to the leader."""

    def send(self, event: Any) -> None:
        """Sends something to it."""


@final
class Leader:
    """The first process of a training, and its line to the others; see :func:`leading`.

    seat: its place.
    workers: that compute in the other processes.
    others: what these compute.
    """

    def __init__(self, seat: Seat, workers: Workers, others: Sequence[Future[None]]) -> None:
        self.share = seat.share
        self._seat, self._workers, self._others = seat, workers, others
        self._ranks: Ranks | None = None
        self._cause: BaseException | None = None
        for other in others:
            other.add_done_callback(self._ended)

    def join(self, wait: Callable[[], None]) -> Ranks:
        """The processes, once all of them are ready; ``wait`` is called from time to time before that.

        Raises ProcessDied, or what another process raised, where one cannot take part.
        """
        absent = len(self._others)
        while absent:
            try:
                self._workers.events.get(timeout=POLL_SECONDS)
                absent -= 1
            except queue.Empty:
                wait()
                if self._cause is not None:
                    raise self._cause from None
        with self.watched():
            self._ranks = join(self._seat)
        return self._ranks

    def leave(self) -> None:
        """Ends the other processes, if they still are, and closes the connections to them."""
        self._workers.kill()  # first, since leaving may wait for them
        if self._ranks is not None:
            self._ranks.leave()
        self._workers.shutdown()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turns the loss of a connection within the block into the reason why the other process ended."""
        try:
            yield
        except RuntimeError as error:
            end = time.monotonic() + REASON_SECONDS
            while self._cause is None and time.monotonic() < end:
                time.sleep(POLL_SECONDS)
            if self._cause is not None:
                raise self._cause from error
            raise

    def _ended(self, other: Future[None]) -> None:
        """Ends the remaining processes where one has failed: they, and this one, may wait for it without an end.

        The loss of a connection is an error too, of which the cause is heard of in the next moment.
        """
        error = other.exception()
        if error is None or self._cause is not None:
            return
        if isinstance(error, WorkerDied):
            error = ProcessDied(str(error), self.share.size)
        elif isinstance(error, RuntimeError):
            time.sleep(REASON_SECONDS / 2)
        self._cause = self._cause or error
        self._workers.kill()


@contextmanager
def leading(processes: int, follower: Callable[..., None], *arguments: Any) -> Iterator[Leader | None]:
    """The leader of a training within the block; None where it needs no other process.

    Threads of torch are divided among the processes.

    processes: of the training, this one included.
    follower: what each of the others calls, with ``arguments``, its ``seat`` and ``channel``, on which it sends
        something once it is ready to join.
    arguments: see ``follower``.
    """
    if processes == 1:
        yield None
        return
    threads = torch.get_num_threads()
    each = max(1, threads // processes)
    with TemporaryDirectory(prefix="latent-study-") as folder, on_loopback():
        first, *seats = (Seat(Share(rank, processes), Path(folder) / "meeting") for rank in range(processes))
        workers = Workers(processes - 1, each, compiles=False)
        others = [workers.submit(follower, *arguments, seat=seat, channel=workers.channel) for seat in seats]
        leader = Leader(first, workers, others)
        torch.set_num_threads(each)
        try:
            yield leader
        finally:
            leader.leave()
            torch.set_num_threads(threads)
