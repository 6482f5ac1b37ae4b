"""Stages: the wall and processor time of a study apart by what it does, in parts that add up to the whole.

Stages nest, and a second belongs to the innermost one alone: what several estimators share, such as the densities of
the evaluation draws, is a stage of its own and not a part of whichever estimator asks first. Processor time is that of
all threads of this process and of the processes that it has waited for, compilers for one. A stage counts the Python
threads that it starts, too: a pool of threads for each call costs little time in each and shows there.

Functions of the project are replaced by timed ones for as long as a block lasts; what is computed stays the same.
"""

from __future__ import annotations

import inspect
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, wraps
from importlib.machinery import ExtensionFileLoader, SourceFileLoader
from pathlib import Path
from typing import Any
from unittest.mock import patch

REST = "rest"
"""What no stage names."""

MEASUREMENT = "measurement"
"""The stages of a measurement have names of their own after this one."""

DENSITIES, MIXTURES = f"{MEASUREMENT}: densities of draws", f"{MEASUREMENT}: mixtures"
FITS = f"{MEASUREMENT}: fits of densities"


@dataclass(slots=True)
class Spent:
    """What a stage took.

    wall: seconds.
    cpu: seconds of processor time.
    threads: Python threads that it started.
    peak: bytes of memory, the most above what there was when the stage began; 0 where it is not asked for.
    """

    wall: float = 0.0
    cpu: float = 0.0
    threads: int = 0
    peak: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.wall + other.wall, self.cpu + other.cpu, self.threads + other.threads, max(self.peak, other.peak)
        )


def processor_seconds() -> float:
    """Processor time of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _memory(field: str) -> int:
    """Bytes that this process holds in memory (``VmRSS``), or the most since that was last reset (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


class Stages:
    """The account of one thread; what others call is a part of the stage that is open meanwhile.

    memory: whether the peak memory of each stage is asked for, which only Linux tells.
    """

    def __init__(self, *, memory: bool = False) -> None:
        self.spent: dict[str, Spent] = {REST: Spent()}
        self._open = [REST]
        self._memory = memory
        self._held = [_memory("VmRSS")] if memory else [0]
        self._thread = threading.get_ident()
        self._mark = time.perf_counter(), processor_seconds()

    def charge(self) -> None:
        """Gives the time since the last change of stages, and the peak of its memory, to the one that is open."""
        now = time.perf_counter(), processor_seconds()
        peak = 0
        if self._memory:
            peak = max(0, _memory("VmHWM") - self._held[-1])
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self.spent[self._open[-1]] += Spent(now[0] - self._mark[0], now[1] - self._mark[1], peak=peak)
        self._mark = now if not self._memory else (time.perf_counter(), processor_seconds())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is the stage of this name, but for the stages within it."""
        if threading.get_ident() != self._thread:
            yield
            return
        self.charge()
        self._open.append(name)
        self._held.append(_memory("VmRSS") if self._memory else 0)
        self.spent.setdefault(name, Spent())
        try:
            yield
        finally:
            self.charge()
            self._open.pop()
            self._held.pop()

    def timed(self, compute: Callable[..., Any], name: str | Callable[..., str]) -> Callable[..., Any]:
        """The function as a stage, a generator from each of its stops to the next.

        compute: what is timed.
        name: of the stage, or a function of the positional arguments that gives it.
        """

        def named(arguments: tuple[Any, ...]) -> str:
            return name if isinstance(name, str) else name(*arguments)

        @wraps(compute)
        def run(*arguments: Any, **options: Any) -> Any:
            with self.stage(named(arguments)):
                return compute(*arguments, **options)

        @wraps(compute)
        def run_on(*arguments: Any, **options: Any) -> Iterator[Any]:
            steps = compute(*arguments, **options)
            try:
                while True:
                    with self.stage(named(arguments)):
                        try:
                            step = next(steps)
                        except StopIteration as stop:
                            return stop.value
                    yield step
            finally:
                steps.close()

        return run_on if inspect.isgeneratorfunction(compute) else run

    def replacing(self, owner: Any, attribute: str, name: str | Callable[..., str]) -> Any:
        """A context in which an attribute is timed: a function, a method, a classmethod or a cached property.

        owner: module or class.
        attribute: of it.
        name: of the stage, see :meth:`timed`.
        """
        member = inspect.getattr_static(owner, attribute)
        if isinstance(member, cached_property):
            return patch.object(member, "func", self.timed(member.func, name))
        if isinstance(member, classmethod):
            return patch.object(owner, attribute, classmethod(self.timed(member.__func__, name)))
        return patch.object(owner, attribute, self.timed(member, name))

    @contextmanager
    def counting_threads(self) -> Iterator[None]:
        """Counts the threads that are started, each for the stage that is open."""
        start = threading.Thread.start

        def counted(thread: threading.Thread) -> None:
            self.spent[self._open[-1]].threads += 1
            start(thread)

        with patch.object(threading.Thread, "start", counted):
            yield

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Modules that are imported within, by whatever statement or function, are the stage "import"."""
        with ExitStack() as stack:
            for loader, method in (
                (SourceFileLoader, "exec_module"),
                (ExtensionFileLoader, "create_module"),
                (ExtensionFileLoader, "exec_module"),
            ):
                stack.enter_context(self.replacing(loader, method, "import"))
            yield

    @contextmanager
    def measuring(self, label: Callable[[Any], str]) -> Iterator[None]:
        """The stages of a measurement.

        label: name of an estimator's stage.
        """
        from study.measurement import measure, replicate, samples
        from study.measurement.classifier import Classifier
        from study.measurement.estimators import Estimator

        seams: list[tuple[Any, str, str]] = [
            (measure.Measuring, "result", f"{MEASUREMENT}: other"),
            (replicate.Split, "aggregate", f"{MEASUREMENT}: encoding"),
            (replicate.Split, "codes", f"{MEASUREMENT}: encoding"),
            (replicate.Split, "draws", DENSITIES),
            (replicate.Split, "from_prior", DENSITIES),
            (replicate.Split, "log_unseen", DENSITIES),
            (replicate.Split, "distortion", f"{MEASUREMENT}: decoding of draws"),
            (Classifier, "of", f"{MEASUREMENT}: classifier"),
            (measure, "fitted", FITS),
            (measure, "_sources", f"{MEASUREMENT}: samples"),
            (samples.Samples, "features", f"{MEASUREMENT}: features of samples"),
            (samples.RealFeatures, "features", f"{MEASUREMENT}: features of samples"),
            (measure, "_mixtures", MIXTURES),
            (measure, "records", f"{MEASUREMENT}: records"),
        ]
        with ExitStack() as stack:
            for owner, attribute, name in seams:
                stack.enter_context(self.replacing(owner, attribute, name))
            named = self.replacing(Estimator, "estimates", lambda estimator, _: f"{MEASUREMENT}: {label(estimator)}")
            stack.enter_context(named)
            yield

    @contextmanager
    def studying(self, label: Callable[[Any], str]) -> Iterator[None]:
        """The stages of a study that runs in this process, those of its measurement included.

        label: name of an estimator's stage.
        """
        with self.stage("import"):
            from study.answers import results
            from study.cli import answer
            from study.run import experiment, launch
            from study.run.training import checkpoint, graph, loop, updates
            from study.store.store import Store

        seams: list[tuple[Any, str, str]] = [
            (launch, "check_images", "data"),
            (experiment, "load_images", "data"),
            (experiment, "binarised", "data"),
            (experiment, "realistic", "data"),
            (launch, "check_all", "build"),
            (experiment, "new_replicate", "build"),
            (loop._Run, "__init__", "build"),
            (updates.Updates, "build", "build"),
            (graph.GraphEngine, "_build", "build"),
            (loop._Run, "run", "training"),
            (experiment, "measure", f"{MEASUREMENT}: other"),
            (checkpoint.Checkpoints, "save", "storing"),
            (experiment, "build_tree", "storing"),
            (Store, "begin", "storing"),
            (Store, "publish", "storing"),
            (results.Results, "load", "merging"),
            (answer, "print_answers", "answer"),
            (answer, "write_report", "page"),
        ]
        with ExitStack() as stack:
            for owner, attribute, name in seams:
                stack.enter_context(self.replacing(owner, attribute, name))
            stack.enter_context(self.measuring(label))
            stack.enter_context(self.importing())
            stack.enter_context(self.counting_threads())
            yield


def family(estimator: Any) -> str:
    """An estimator's file and its first quantity, ``realism: precision``."""
    from study.measurement.estimators import registered

    module = next(module for module, other in registered() if other is estimator)
    return f"{module.__name__.rpartition('.')[2]}: {estimator.quantities[0].name}"
