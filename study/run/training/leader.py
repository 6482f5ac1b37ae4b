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
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, final

import torch

from study.errors import ProcessDied
from study.run.training.ranks import Ranks, Seat, joined
from study.run.training.share import Share
from study.run.workers import WorkerDied, Workers

POLL_SECONDS = 0.1

REASON_SECONDS = 3.0
"""Within which a process whose connection is lost tells, or its end does, why."""


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
    stack: of the block of :func:`leading`, at the end of which the connection to them is closed.
    """

    def __init__(self, seat: Seat, workers: Workers, others: Sequence[Future[None]], stack: ExitStack) -> None:
        self.share = seat.share
        self._seat, self._workers, self._others, self._stack = seat, workers, others, stack

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
                if (reason := self._reason()) is not None:
                    raise reason from None
        return self._stack.enter_context(joined(self._seat))

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turns the loss of a connection within the block into the reason why the other process ended."""
        try:
            yield
        except RuntimeError as error:
            end = time.monotonic() + REASON_SECONDS
            while time.monotonic() < end:
                if (reason := self._reason()) is not None:
                    raise reason from error
                time.sleep(POLL_SECONDS)
            raise

    def _reason(self) -> BaseException | None:
        """Why one of the other processes does not go on; the first cause where several do not, as far as known."""
        errors = [error for future in self._others if future.done() and (error := future.exception()) is not None]
        deaths = [error for error in errors if isinstance(error, WorkerDied)]
        if deaths:
            return ProcessDied(str(deaths[0]), self.share.size)
        return errors[0] if errors else None


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
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="latent-study-"))
        first, *seats = (Seat(Share(rank, processes), Path(folder) / "meeting") for rank in range(processes))
        workers = Workers(processes - 1, each, compiles=False)
        stack.callback(workers.shutdown)
        stack.callback(workers.kill)
        others = [workers.submit(follower, *arguments, seat=seat, channel=workers.channel) for seat in seats]
        torch.set_num_threads(each)
        stack.callback(torch.set_num_threads, threads)
        yield Leader(first, workers, others, stack)
