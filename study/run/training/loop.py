"""Loop: the training run of a cell's replicates, from initial or checkpointed state to trained modules."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from analysis.float32 import full_float32
from analysis.randomness import seeded, stream
from models.objectives import Objective
from models.vae import VAE
from study.design.cell import Train
from study.errors import TrainingFailed
from study.measurement.stored_images import Images
from study.run.progress import Progress, Reporter
from study.run.training.batches import ImagesOf
from study.run.training.checkpoint import Checkpoint, Checkpoints
from study.run.training.choice import Choice, Name
from study.run.training.contention import Contention
from study.run.training.evaluation import HeldOut
from study.run.training.leader import Leader
from study.run.training.share import Share
from study.run.training.updates import Updates
from study.store.reading import Corrupt, reading

log = logging.getLogger(__name__)

REPORT_SECONDS = 0.25
CURVES = ("loss", "rate", "distortion")


@dataclass(slots=True)
class Fit:
    """Record of a run, beside the trained modules.

    choice: engine and reason.
    curves: per epoch and replicate, ``(E, S)`` lists: loss, rate, distortion (means over the epoch, nats per image)
        and held_out_loss (−ELBO of held-out images at scale 1; NaN where it was not evaluated).
    seconds: of updates, over all sessions of the run, engine build excluded.
    cpu_seconds: of this process, over all sessions of the run, everything between them and their ends included.
    images: that they read.
    updates: of the weights, over all sessions.
    """

    choice: Choice
    curves: dict[str, list[list[float]]] = field(default_factory=lambda: {n: [] for n in (*CURVES, "held_out_loss")})
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    images: int = 0
    updates: int = 0

    @property
    def images_per_second(self) -> float | None:
        """Training throughput over all replicates; None before the second update."""
        return self.images / self.seconds if self.seconds else None


def fit(
    vaes: Sequence[VAE],
    objective: Objective,
    images: Images | ImagesOf,
    held_out: Images,
    train: Train,
    *,
    beta: float = 1.0,
    first_seed: int = 0,
    workspace: Path | None = None,
    identity: str = "",
    report: Reporter = lambda progress: None,
    leader: Leader | None = None,
) -> Fit:
    """Trains the replicates of one cell in place.

    vaes: the replicates, S of them.
    objective: what is minimised.
    images: ``(N, *image_shape)``, or a function of replicate and epoch.
    held_out: ``(M, *image_shape)``.
    train: how.
    beta: factor on the latent term.
    first_seed: seed of the first replicate's order, noise and pixels; those of the others follow it.
    workspace: folder for checkpoints; a run that finds one there goes on from it, bit for bit on the same machine.
    identity: names the cell and its images; checkpoints of another one, and damaged ones, are set aside.
    report: where progress goes.
    leader: of the processes that share each batch, this one; None where it has it all.

    Raises TrainingFailed where a replicate's loss is not finite, ProcessDied where another process is lost, and lets a
    KeyboardInterrupt of ``report`` through after writing a checkpoint.
    """
    checkpoints = Checkpoints(workspace, identity) if workspace else None
    while True:
        saved = checkpoints.newest() if checkpoints else None
        with full_float32(next(vaes[0].parameters()).device), seeded(stream(0, "training")):
            try:
                share = leader.share if leader else Share()
                updates = Updates(vaes, objective, images, train, beta=beta, first_seed=first_seed, share=share)
                session = _Run(vaes, updates, held_out, train, checkpoints, saved, report)
            except Corrupt as error:
                if checkpoints is None:
                    raise
                checkpoints.discard(error)
                continue
            with leader.watched() if leader else nullcontext():
                return session.run(leader)


class _Run:
    """One session of a training run, which goes on from the checkpoint ``saved`` where there is one."""

    def __init__(
        self,
        vaes: Sequence[VAE],
        updates: Updates,
        held_out: Images,
        train: Train,
        checkpoints: Checkpoints | None,
        saved: Checkpoint | None,
        report: Reporter,
    ) -> None:
        self.cpu_mark = time.process_time()
        self.vaes, self.train, self.checkpoints, self.report = list(vaes), train, checkpoints, report
        self.updates, self.course = updates, updates.course
        self.epoch, self.position, self.done = 0, 0, 0
        self.pending: list[Tensor] = []
        self.held_out = HeldOut(self.vaes, held_out, patience=train.patience)
        if saved is None:
            self.fit = Fit(updates.choose())
        else:
            if saved.header.get("groups") not in (updates.together, updates.alone):
                raise Corrupt("the checkpoint is of other replicates")
            updates.group(saved.header["groups"])
            # Several processes have one engine; otherwise the run keeps the one that it has begun with.
            self.fit = Fit(updates.choose() if updates.share.size > 1 else _choice(saved.header))
            self._restore(saved)
        log.info("engine: %s (%s)", self.fit.choice.engine, self.fit.choice.reason)
        self.contention = Contention(updates.device)

    def run(self, leader: Leader | None) -> Fit:
        """Updates until the last, or until held-out loss has stalled; ``leader`` as that of :func:`fit`."""
        ranks = None
        if leader is not None:
            ranks = leader.join(lambda: self.report(Progress("training", self._made, self.course.updates)))
            self.updates.agree(ranks, self.epoch, self.position)
        self.updates.start_epoch(self.epoch)
        self.updates.build(self.fit.choice, ranks)
        self.last_save = self.last_report = time.monotonic()
        while self.epoch < self.course.epochs and not self.held_out.stalled:
            self._epoch()
        self.fit.updates = self._made
        self._save()  # the measurement may be stopped
        self.updates.write_back()
        self.held_out.restore_best(self.vaes)
        return self.fit

    def _epoch(self) -> None:
        while self.position < self.course.length(self.epoch):
            building = self.done == 0
            start = time.perf_counter()
            self.pending.append(self.updates.make(self.epoch, self.position))
            self.position += 1
            self.done += 1
            if not building:
                self.fit.seconds += time.perf_counter() - start
                self.fit.images += self.updates.images_per_update
            self._look_up()
        self._finish_epoch()

    @property
    def _made(self) -> int:
        """Updates so far."""
        return self.course.made(self.epoch, self.position)

    def _look_up(self) -> None:
        """Reports and saves from time to time; the device is not waited for in between."""
        now = time.monotonic()
        if now - self.last_report < REPORT_SECONDS:
            return
        self.last_report = now
        self.contention.look()
        metrics = self._waited_for()
        loss, rate, distortion = metrics[-20:].mean(0).mean(-1).tolist()
        total, speed = self.course.updates, self.fit.images_per_second
        try:
            self.report(Progress("training", self._made, total, loss, rate, distortion, speed))
        except KeyboardInterrupt:
            self._save()
            raise
        if now - self.last_save > self.train.checkpoint_every:
            self._save()

    def _waited_for(self) -> Tensor:
        """What :meth:`_checked` gives. Waiting for the updates that a GPU still makes is their time."""
        start = time.perf_counter()
        metrics = self._checked()
        self.fit.seconds += time.perf_counter() - start
        return metrics

    def _checked(self) -> Tensor:
        """Metrics ``(updates, 3, S)`` of this epoch; raises where one is not finite."""
        metrics = torch.stack(self.pending)
        bad = (~torch.isfinite(metrics)).nonzero()
        if len(bad):
            update, _, replicate = bad[0].tolist()
            terms = [
                name for name, value in zip(CURVES, metrics[update, :, replicate], strict=True) if not value.isfinite()
            ]
            first = self._made - len(self.pending) + update
            raise TrainingFailed(first, " and ".join(terms[1:] or terms), self.train.precision)
        return metrics

    def _finish_epoch(self) -> None:
        if self.pending:
            for name, values in zip(CURVES, self._waited_for().double().mean(0).tolist(), strict=True):
                self.fit.curves[name].append(values)
        every = 1 if self.train.patience else max(1, self.course.epochs // 20)
        last = self.epoch + 1 == self.course.epochs
        values = [float("nan")] * len(self.vaes)
        if last or (self.epoch + 1) % every == 0:
            self.updates.write_back()
            values = self.held_out.evaluate()
        self.fit.curves["held_out_loss"].append(values)
        self.epoch, self.position, self.pending = self.epoch + 1, 0, []
        if not last:
            self.updates.start_epoch(self.epoch)

    def _save(self) -> None:
        mark = time.process_time()
        self.fit.cpu_seconds, self.cpu_mark = self.fit.cpu_seconds + mark - self.cpu_mark, mark
        if self.checkpoints is None:
            return
        tensors: dict[str, Tensor] = {"metrics": torch.stack(self.pending) if self.pending else torch.empty(0)}
        tensors |= self.updates.tensors() | self.held_out.tensors()
        header: dict[str, Any] = {
            "epoch": self.epoch,
            "position": self.position,
            "groups": self.updates.groups,
            "choice": list(self.fit.choice),
            "curves": self.fit.curves,
            "seconds": self.fit.seconds,
            "cpu_seconds": self.fit.cpu_seconds,
            "images": self.fit.images,
            "held_out": self.held_out.header(),
        }
        self.checkpoints.save(Checkpoint(tensors, header))
        self.last_save = time.monotonic()

    def _restore(self, saved: Checkpoint) -> None:
        header = saved.header
        with reading("the checkpoint"):
            self.updates.restore(saved.tensors)
            self.epoch, self.position = header["epoch"], header["position"]
            # A run that is stopped after the last update of an epoch has yet to end it.
            if not (0 <= self.epoch <= self.course.epochs and 0 <= self.position <= self.course.length(self.epoch)):
                raise Corrupt("the checkpoint is of a run of another length")
            self.fit.curves, self.fit.images = header["curves"], header["images"]
            self.fit.seconds, self.fit.cpu_seconds = header["seconds"], header["cpu_seconds"]
            self.held_out.restore(saved.tensors, header["held_out"])
            metrics = saved.tensors["metrics"].to(self.updates.device)
            self.pending = list(metrics.unbind(0)) if metrics.numel() else []


def _choice(header: Mapping[str, Any]) -> Choice:
    with reading("the checkpoint"):
        engine, reason, traceable = header["choice"]
        if engine not in get_args(Name):
            raise Corrupt("the checkpoint is of an unknown engine")
        return Choice(engine, reason, traceable)
