"""Executor: cells on the workers of a Dask client, in the sense of ``concurrent.futures``, and the line to them.

The scheduler gives the cell of a worker that is lost to another. What fails a cell is what fails it in a pool: its own
error, or two deaths of the process that computes it. A scheduler that is lost ends the run with one sentence; the same
command resumes, from what workers have saved in the results folder or sent before.

Where workers share no folder with this computer, this one holds a cell's lock while it is computed elsewhere.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, final, override

from distributed import Client, KilledWorker
from distributed import Future as Task

from study.errors import EnvironmentFault, StudyError
from study.run.cluster import worker
from study.run.cluster.order import Order, name_of
from study.run.fork_server import WorkerChannel
from study.run.job import Event, Job, Outcome
from study.run.progress import Progress
from study.run.workers import WorkerDied
from study.store.parcel import pack, unpack
from study.store.reading import Corrupt

IN_FLIGHT = 400
"""Cells that are with the scheduler at a time, each with a thread here."""

SCATTERED = 2**20
"""Bytes of state from which it is not put into the order itself."""


@final
class DaskExecutor(Executor):
    """Computes jobs on a cluster.

    client: of Dask.
    where: the cluster in words.
    terms: what a worker must be like.
    shared: whether workers see the results folder.
    check: a function of a cell, the checksum of its images and the folder of data sets, which raises where a worker has
        other images; None for no look at them.
    resources: what each cell needs.
    threads: of each cell.
    compiles: whether cells may be trained by a compiled graph.
    """

    channel = WorkerChannel()

    def __init__(
        self,
        client: Client,
        where: str,
        terms: Mapping[str, Any],
        *,
        shared: bool,
        check: Callable[..., None] | None,
        resources: Mapping[str, float],
        threads: int,
        compiles: bool,
    ) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._client, self._where, self._terms, self._shared = client, where, dict(terms), shared
        self._check, self._resources = "" if check is None else name_of(check), dict(resources)
        self._cell_threads, self._compiles = threads, compiles
        self._run = uuid.uuid4().hex
        self._ending = self._killed = False
        self._tasks: dict[str, Task] = {}
        self._keys: set[str] = set()
        self._threads = ThreadPoolExecutor(IN_FLIGHT, "cell")
        client.subscribe_topic(worker.TOPIC, self._hear)

    @override
    def submit[T](self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """The outcome of a job: ``fn``, importable on workers, of the job and of the channel; see Executor."""
        job, _ = args
        return self._threads.submit(self._compute, fn, job)  # type: ignore[arg-type]

    def _compute(self, function: Callable[..., Any], job: Job) -> Outcome:
        if self._shared:
            return self._outcome(job, self._answer(function, job, {}))
        key, store, lost = job.cell.key, job.store, threading.Event()
        with store.lock(key, wait=job.wait, lost=lost) as locked:
            if not locked:
                return Outcome(key, "busy")
            if store.condition(key) == "done":
                return Outcome(key, "present")
            store.begin(job.cell, images=job.images)
            answer = self._answer(function, job, pack(store, key))
            outcome = self._outcome(job, answer)
            if lost.is_set():
                return Outcome(key, "busy")
            try:
                unpack(store, job.cell, job.images, answer["files"])
                if (store.condition(key) == "done") != (outcome.status == "stored"):
                    raise Corrupt("its files are not those of its outcome")
            except Corrupt as error:
                raise EnvironmentFault(f"a worker of {self._where} sent a cell that is not whole: {error}") from error
            except OSError as error:
                raise EnvironmentFault(f"cannot write {store.folder(key)}: {error.strerror or error}") from error
            return outcome

    def _outcome(self, job: Job, answer: Mapping[str, Any]) -> Outcome:
        if answer["outcome"] is None:  # asked to stop before it began
            raise WorkerDied(None)
        outcome = Outcome(**answer["outcome"])
        if outcome.key != job.cell.key:
            raise EnvironmentFault(f"a worker of {self._where} answered for another cell")
        return outcome

    def _answer(self, function: Callable[..., Any], job: Job, files: Mapping[str, bytes]) -> dict[str, Any]:
        """What the worker answers, or its error; in the words of this package."""
        order = Order(
            self._run, self._terms, name_of(function), name_of(job.runner), self._check, job.cell.config(), job.images,
            str(job.store.root.resolve()) if self._shared else None, job.device,
            None if job.data_root is None else str(job.data_root.resolve()), job.command, job.wait,
            self._cell_threads, self._compiles,
        )  # fmt: skip
        name = f"latent-study-{job.cell.key}-{uuid.uuid4().hex[:12]}"
        if self._ending:
            raise WorkerDied(None)
        try:
            large = sum(map(len, files.values())) > SCATTERED
            sent = self._client.scatter(dict(files), hash=False) if large else dict(files)
            task = self._client.submit(
                worker.take, order, sent, key=name, pure=False, retries=0, resources=self._resources or None
            )
            self._tasks[name] = task
            self._keys.add(job.cell.key)
            answer: dict[str, Any] = task.result()
            return answer
        except KilledWorker as error:
            raise WorkerDied(None) from error
        except (StudyError, WorkerDied):
            raise
        except (CancelledError, asyncio.CancelledError, OSError, RuntimeError) as error:
            if self._ending:
                raise WorkerDied(None) from error
            if isinstance(error, RuntimeError):
                raise self._unable(error) from error
            raise EnvironmentFault(f"{self._where} is lost; the same command resumes where it stopped") from error
        except Exception as error:
            raise self._unable(error) from error
        finally:
            self._tasks.pop(name, None)
            self._keys.discard(job.cell.key)

    def _unable(self, error: Exception) -> EnvironmentFault:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return EnvironmentFault(
            f"a worker of {self._where} cannot compute cells ({reason}); install there what is installed here"
        )

    def _hear(self, event: tuple[float, Any]) -> None:
        """Takes what a worker says of a cell; anybody may write to the topic."""
        with suppress(KeyError, TypeError):
            message = event[1]
            if message["run"] == self._run and message["key"] in self._keys:
                progress = message["progress"]
                self.events.put(Event(message["key"], None if progress is None else Progress(**progress)))

    def stop(self) -> None:
        """Asks the running cells to save and stop, without waiting for workers that do not answer."""
        threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        self._ending = True
        begun: set[str] = set()
        with suppress(Exception):  # a scheduler that is lost
            for names in self._client.run(worker.stop, self._run, on_error="ignore").values():
                begun.update(names)
        self._cancel(set(self._tasks) - begun)

    def kill(self) -> None:
        """Ends the running cells at once."""
        if not self._killed:
            self._killed = self._ending = True
            threading.Thread(target=self._kill, daemon=True).start()

    def _kill(self) -> None:
        with suppress(Exception):
            self._client.run(worker.kill, self._run, on_error="ignore")
        self._cancel(set(self._tasks))

    def _cancel(self, names: set[str]) -> None:
        with suppress(Exception):
            self._client.cancel([task for name in names if (task := self._tasks.get(name)) is not None])

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the run on the workers once its cells are done.

        wait: whether to return only then.
        cancel_futures: whether cells that have not begun are dropped.
        """
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        with suppress(Exception):
            self._client.unsubscribe_topic(worker.TOPIC)
            self._client.run(worker.leave, self._run, on_error="ignore")
