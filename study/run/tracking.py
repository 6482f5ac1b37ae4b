"""Tracking: a running study as TensorBoard sees it: training curves as they come, and sample grids of finished cells.

A sink for the events of :mod:`study.run.execution`, in the process that started the study, so that neither training nor
workers know of it. Optional: it needs the extra ``tensorboard``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, final

from analysis.sprite import sprite
from study.errors import EnvironmentFault
from study.paths import ensure_writable
from study.run.job import Event, Outcome
from study.run.progress import Progress
from study.store.store import Store

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)

SCALARS = ("loss", "rate", "distortion", "images_per_second")


@contextmanager
def tracking(folder: Path | None, store: Store, names: Mapping[str, str]) -> Iterator[Callable[[Event], None]]:
    """A watcher that logs cells; without a folder it does nothing.

    folder: of the logs, one folder in it per cell.
    store: results of the study.
    names: name of each cell's folder, by key.

    Raises:
        EnvironmentFault: if TensorBoard is not installed, or the folder cannot be written. What goes wrong later, a
            full disk for one, ends the logs with a warning, and nothing else of the run.
    """
    if folder is None:
        yield lambda event: None
        return
    ensure_writable(folder, "--tensorboard")
    tracker = _Tracker(folder, store, names)
    try:
        yield tracker
    finally:
        tracker.close()


@final
class _Tracker:
    """One writer per cell, opened when the cell first reports."""

    def __init__(self, folder: Path, store: Store, names: Mapping[str, str]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (an optional dependency)
        except ImportError as error:
            raise EnvironmentFault(
                "--tensorboard needs TensorBoard, which is not installed; `pip install latent-study[tensorboard]`"
            ) from error
        self._new, self._folder, self._store, self._names = SummaryWriter, folder, store, names
        self._writers: dict[str, SummaryWriter] = {}
        self._has_ended = False

    def __call__(self, event: Event) -> None:
        if not self._has_ended:
            try:
                self._log(event)
            except OSError as error:
                self._has_ended = True
                log.warning("TensorBoard sees no more of this run: %s", error)

    def _log(self, event: Event) -> None:
        match event.what:
            case Progress(phase="training") as progress:
                writer = self._writer(event.key)
                for name in SCALARS:
                    value = getattr(progress, name)
                    if value is not None:
                        writer.add_scalar(f"training/{name}", value, progress.done)
            case Outcome(status="stored"):
                self._finished(event.key)

    def close(self) -> None:
        """Flushes and closes every writer."""
        for writer in self._writers.values():
            with suppress(OSError):
                writer.close()

    def _writer(self, key: str) -> SummaryWriter:
        if key not in self._writers:
            self._writers[key] = self._new(self._folder / self._names[key].replace("/", "∕"))
        return self._writers[key]

    def _finished(self, key: str) -> None:
        """The whole curves, epoch by epoch, and a grid per source of samples, of the cell's first replicate."""
        tree, writer = self._store.read(key), self._writer(key)
        for name, curve in tree["training"].to_dataset().data_vars.items():
            for epoch, value in zip(curve["epoch"].values, curve.isel(chain=0).values, strict=True):
                writer.add_scalar(f"epoch/{name}", float(value), int(epoch) + 1)
        if "samples" in tree.children:
            images = tree["samples"].to_dataset()["pixels"].isel(chain=0)
            for source in images["source"].values:
                writer.add_image(f"samples/{source}", sprite(images.sel(source=source).values), dataformats="HWC")
        writer.flush()
