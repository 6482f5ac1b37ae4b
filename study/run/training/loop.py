"""Loop: the training run of a cell's replicates, from initial or checkpointed state to trained modules."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from analysis.randomness import seeded, stream
from models.objectives import Objective
from models.vae import VAE
from study.design.cell import Train
from study.errors import TrainingFailed
from study.measurement.stored_images import Images
from study.run.progress import Progress, Reporter
from study.run.training.batches import Batches, ImagesOf
from study.run.training.checkpoint import Checkpoint, Checkpoints
from study.run.training.choice import Choice, Name, build, choose
from study.run.training.contention import Contention
from study.run.training.evaluation import HeldOut
from study.run.training.precision import matmul_precision
from study.run.training.schedule import Course
from study.run.training.state import State
from study.run.training.step import noise_shapes
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
    images: that they read.
    updates: of the weights, over all sessions.
    """

    choice: Choice
    curves: dict[str, list[list[float]]] = field(default_factory=lambda: {n: [] for n in (*CURVES, "held_out_loss")})
    seconds: float = 0.0
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

    Raises TrainingFailed where a replicate's loss is not finite, and lets a KeyboardInterrupt of ``report`` through
    after writing a checkpoint.
    """
    checkpoints = Checkpoints(workspace, identity) if workspace else None
    while True:
        saved = checkpoints.newest() if checkpoints else None
        with matmul_precision(next(vaes[0].parameters()).device), seeded(stream(0, "training")):
            try:
                session = _Run(vaes, objective, images, held_out, train, beta, first_seed, checkpoints, saved, report)
            except Corrupt as error:
                if checkpoints is None:
                    raise
                checkpoints.discard(error)
                continue
            return session.run()


class _Run:
    """One session of a training run, which goes on from the checkpoint ``saved`` where there is one."""

    def __init__(
        self,
        vaes: Sequence[VAE],
        objective: Objective,
        images: Images | ImagesOf,
        held_out: Images,
        train: Train,
        beta: float,
        first_seed: int,
        checkpoints: Checkpoints | None,
        saved: Checkpoint | None,
        report: Reporter,
    ) -> None:
        self.vaes, self.train, self.beta, self.checkpoints, self.report = list(vaes), train, beta, checkpoints, report
        self.first_seed = first_seed
        example = images(0, 0) if callable(images) else images
        shapes = noise_shapes(vaes[0], objective, _floats(example[: min(train.batch_size, len(example))]))
        together, alone = [list(range(len(vaes)))], [[r] for r in range(len(vaes))]
        if saved and saved.header.get("groups") not in (together, alone):
            raise Corrupt("the checkpoint is of other replicates")
        one_by_one = train.replicates == "one_by_one" or (train.replicates == "auto" and _prefers_alone(vaes[0]))
        self._group(saved.header["groups"] if saved else alone if one_by_one else together, images, shapes)
        self.course = Course(train, self.batches[0].num_images, beta)
        self.epoch, self.position, self.done = 0, 0, 0
        bf16 = train.precision == "bf16"
        if saved is None:
            choice = self._choose(objective, bf16)
            if not choice.traced and self.groups == together != alone:
                # Some parts can be traced and not mapped: their replicates run one after another.
                self._group(alone, images, shapes)
                choice = self._choose(objective, bf16)
            self._group(self.groups, images, shapes)  # the choice has drawn noise: start afresh
        else:
            choice = _choice(saved.header)
        log.info("engine: %s (%s)", choice.engine, choice.reason)
        self.fit = Fit(choice)
        self.pending: list[Tensor] = []
        self.held_out = HeldOut(self.vaes, held_out, patience=train.patience)
        if saved is not None:
            self._restore(saved)
        self._start_epoch()
        self.engines = [
            build(choice.engine, [vaes[r] for r in group], objective, state, batches.batch, bf16=bf16)
            for group, state, batches in zip(self.groups, self.states, self.batches, strict=True)
        ]
        self.last_save = self.last_report = time.monotonic()
        self.contention = Contention(self.states[0].count.device)

    def _group(self, groups: list[list[int]], images: Images | ImagesOf, shapes: list[torch.Size]) -> None:
        """Replicates of one group share a program; inputs and state of each group as before the first update."""
        self.groups = groups
        seeds = [[self.first_seed + r for r in group] for group in groups]
        self.batches = [Batches(images, group, self.train.batch_size, shapes) for group in seeds]
        self.states = [State.initial([self.vaes[r] for r in group]) for group in groups]

    def _choose(self, objective: Objective, bf16: bool) -> Choice:
        self._start_epoch()
        self.batches[0].fill(0, self.beta, self.train.learning_rate)
        return choose(
            [self.vaes[r] for r in self.groups[0]],
            objective,
            self.states[0],
            self.batches[0].batch,
            asked=self.train.engine,
            updates=self.course.updates * len(self.groups),
            bf16=bf16,
        )

    def run(self) -> Fit:
        """Updates until the last, or until held-out loss has stalled."""
        while self.epoch < self.course.epochs and not self.held_out.stalled:
            self._epoch()
        self.fit.updates = self._made
        self._save()  # the measurement may be stopped
        self._write_back()
        self.held_out.restore_best(self.vaes)
        return self.fit

    def _epoch(self) -> None:
        while self.position < self.course.length(self.epoch):
            building = self.done == 0
            start = time.perf_counter()
            self._update()
            if not building:
                self.fit.seconds += time.perf_counter() - start
                self.fit.images += len(self.vaes) * self.batches[0].batch.indices.shape[1]
            self._look_up()
        self._finish_epoch()

    @property
    def _made(self) -> int:
        """Updates so far."""
        return min(self.epoch * self.course.per_epoch + self.position, self.course.updates)

    def _update(self) -> None:
        given = self.course.at(self._made)
        metrics = []
        for batches, engine in zip(self.batches, self.engines, strict=True):
            batches.fill(self.position, *given)
            metrics.append(engine.step())
        self.pending.append(torch.cat(metrics, dim=1) if len(metrics) > 1 else metrics[0])
        self.position += 1
        self.done += 1

    def _look_up(self) -> None:
        """Reports and saves from time to time; the device is not waited for in between."""
        now = time.monotonic()
        if now - self.last_report < REPORT_SECONDS:
            return
        self.last_report = now
        self.contention.look()
        metrics = self._checked()
        loss, rate, distortion = metrics[-20:].mean(0).mean(-1).tolist()
        total, speed = self.course.updates, self.fit.images_per_second
        try:
            self.report(Progress("training", self._made, total, loss, rate, distortion, speed))
        except KeyboardInterrupt:
            self._save()
            raise
        if now - self.last_save > self.train.checkpoint_every:
            self._save()

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
            for name, values in zip(CURVES, self._checked().double().mean(0).tolist(), strict=True):
                self.fit.curves[name].append(values)
        every = 1 if self.train.patience else max(1, self.course.epochs // 20)
        last = self.epoch + 1 == self.course.epochs
        values = [float("nan")] * len(self.vaes)
        if last or (self.epoch + 1) % every == 0:
            self._write_back()
            values = self.held_out.evaluate()
        self.fit.curves["held_out_loss"].append(values)
        self.epoch, self.position, self.pending = self.epoch + 1, 0, []
        if not last:
            self._start_epoch()

    def _start_epoch(self) -> None:
        for batches in self.batches:
            batches.start_epoch(self.epoch)

    def _write_back(self) -> None:
        for group, state in zip(self.groups, self.states, strict=True):
            state.write_to([self.vaes[r] for r in group])

    def _save(self) -> None:
        if self.checkpoints is None:
            return
        tensors: dict[str, Tensor] = {"metrics": torch.stack(self.pending) if self.pending else torch.empty(0)}
        for index, (state, batches) in enumerate(zip(self.states, self.batches, strict=True)):
            tensors |= {f"group{index}/{name}": tensor for name, tensor in state.flat().items()}
            tensors |= batches.generator_states()
        tensors |= self.held_out.tensors()
        header: dict[str, Any] = {
            "epoch": self.epoch,
            "position": self.position,
            "groups": self.groups,
            "choice": list(self.fit.choice),
            "curves": self.fit.curves,
            "seconds": self.fit.seconds,
            "images": self.fit.images,
            "held_out": self.held_out.header(),
        }
        self.checkpoints.save(Checkpoint(tensors, header))
        self.last_save = time.monotonic()

    def _restore(self, saved: Checkpoint) -> None:
        header = saved.header
        with reading("the checkpoint"):
            for index, (state, batches) in enumerate(zip(self.states, self.batches, strict=True)):
                prefix = f"group{index}/"
                state.copy_from({n.removeprefix(prefix): t for n, t in saved.tensors.items() if n.startswith(prefix)})
                batches.restore(saved.tensors)
            self.epoch, self.position = header["epoch"], header["position"]
            # A run that is stopped after the last update of an epoch has yet to end it.
            if not (0 <= self.epoch <= self.course.epochs and 0 <= self.position <= self.course.length(self.epoch)):
                raise Corrupt("the checkpoint is of a run of another length")
            self.fit.curves, self.fit.seconds, self.fit.images = header["curves"], header["seconds"], header["images"]
            self.held_out.restore(saved.tensors, header["held_out"])
            metrics = saved.tensors["metrics"].to(self.states[0].count.device)
            self.pending = list(metrics.unbind(0)) if metrics.numel() else []


def _choice(header: Mapping[str, Any]) -> Choice:
    with reading("the checkpoint"):
        engine, reason, traced = header["choice"]
        if engine not in get_args(Name):
            raise Corrupt("the checkpoint is of an unknown engine")
        return Choice(engine, reason, traced)


def _floats(images: Tensor) -> Tensor:
    return images if images.is_floating_point() else images.float()


def _prefers_alone(vae: VAE) -> bool:
    """On a CPU, networks whose products fill the cores gain nothing from being mapped (batched products are slower)."""
    parameters = list(vae.parameters())
    return parameters[0].device.type == "cpu" and sum(p.numel() for p in parameters) > 200_000
