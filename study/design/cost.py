"""Cost: what a cell will take in memory and time, roughly and from below, without building its weights.

With P parameters, N training images of C·H·W pixels, U updates of B images, S replicates, D latent dimensions and M
evaluation draws, in bytes

    16 P S                   weights, gradient and Adam's two moments in single precision, for each replicate
    4 N C H W                images, where they are not read from a file as they are needed
    4 J (D + C H W)          J samples of one source
    12 min(N D, 2²⁶)         codes of one replicate: loc, scale and z, as many as are in memory at once
    32 M D                   draws of aggregate and prior in single and double precision
    400 K                    weights of importance-weighted bounds of 50 images, with K draws each
    2400 D'                  draws in D' dimensions, the most up to which inert ones are appended
    2³⁰                      Python and its libraries

where n processes share each batch of a training, n times the first two and twice the last of these, and

on disk, in bytes,

    4 P S                    weights
    S (100 M + 200 D)        records of draws and moments of each replicate
    15 S C H W               each picture of fifteen sources
    300,000                  tables of estimates

and in floating-point operations at 60 GFLOP/s, which is one current processor core or two, for each replicate, with E,
G and H operations for one image of encoder, decoder and prior forwards (:mod:`study.run.operations`; a multiplication
and an addition are two), K draws of an objective for each image, and N' held-out images

    3 K (E + G + H) U B      training: a product forwards and two backwards; divided by n where n processes share it
    E (N + N')               codes of both splits; three times where they are not all in memory
    G I                      I images decoded for bounds, samples and displacements, of which bounds take N' once more;
                             a step of refinement or annealing counts as three, for its gradient
    12 M (3 N + 2 N') D      log q_N of the draws of aggregate, prior and held-out images, in both splits
    4 N min(N', 2²⁹/N) D     the bandwidth of the kernel density of the codes, where it is fitted
    8 N D Σ k                one sweep over the codes for each mixture, of k components
    3 n² D                   distances among n codes and n draws of the prior, which tests on samples compare
    4,000,000 Σ D'           densities of the draws in D' dimensions
    10 c d D                 d draws for each of c images by which q(z|x) is calibrated
    2 N D² + D³              moments of the codes, where the covariance of so many dimensions is kept

for each classifier of the data set, where samples are judged at all,

    7·10⁶ max(3 N, 50,000)   its training

and, whatever the sizes, 7.5 ms, 4 ns for each parameter (of Adam) and 30 ns for each latent number (of its draw and its
densities; divided by n as well) for each update, and for measuring each replicate 0.2 s, 0.1 ms for each image, 0.8 ms
for each draw and each sample, of which there are some fifteen sources, and 2.5 µs for each pixel of a sample. A
classifier is kept for all cells with the same images, so that of several cells one trains it
(:mod:`study.design.plan`).

Processes side by side share Python and its libraries, and nothing else; what those of one training say to each other
takes time that is not counted. Mixtures take many sweeps, so that they take more. Samples are compared in features, and
densities other than mixtures trained, which is not counted: numbers of images bound the one, options of the densities
the other. What the configuration does not tell (P before parts are built, N of a folder of images) is counted as
nothing; N' is then a quarter of N, and E and G are the P operations of dense layers where a part cannot be run without
values.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from analysis.numerals import duration
from study.design.cell import MIXTURES, Cell, Evaluate
from study.design.length import num_updates
from study.design.limits import CELL_BYTES, CELL_SECONDS
from study.errors import ConfigurationError

LIBRARY_BYTES = 2**30
HELD_CODES = 2**26
FLOPS_PER_SECOND = 6e10
BOUNDED_TOGETHER = 50
STREAMED_PASSES = 3
"""Times that images are encoded whose codes are not all in memory: for their moments, draws, and densities."""

KERNEL, KERNEL_LOGS = "aggregate_kernel", 2**29
"""Density whose bandwidth is chosen by log-densities of held-out codes under each code, and their largest number."""

PADDING_PAIRS, PADDING_VALUES = 20_000, 300
"""Pairs of a draw and a component, and draws and components, of the control with inert dimensions."""
REFINEMENT_STEPS, LEAPFROG_STEPS, DISPLACED_SETS = 200, 10, 6
"""For each code that is refined, each annealed temperature, and each displacement (two kinds of three lengths)."""

CLASSIFIED, CLASSIFIER_FLOPS = 50_000, 7e6
"""Images that a classifier is trained on at least, and operations for each."""
PARAMETER_SECONDS, LATENT_SECONDS = 4e-9, 3e-8
"""Of each update, for each parameter and for each number of the latents of its images."""

UPDATE_SECONDS, MEASURING_SECONDS, DRAW_SECONDS, PIXEL_SECONDS = 0.0075, 0.2, 0.0008, 2.5e-6
IMAGE_SECONDS = 1e-4
"""Of each image of both splits that is measured."""

TABLE_BYTES, SOURCES = 300_000, 15
COVARIANCE_DIM = 8192
"""Dimensions up to which a covariance is kept."""

_UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6))


@dataclass(frozen=True, slots=True)
class Operations:
    """Floating-point operations for one image, forwards; a multiplication and an addition are two.

    encode: of the encoder.
    decode: of the decoder.
    prior: of the prior.
    """

    encode: float
    decode: float
    prior: float = 0.0

    @property
    def trained(self) -> float:
        """Operations of one image of an update: forwards, and backwards to weights and to inputs."""
        return 3 * (self.encode + self.decode + self.prior)


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate from below of what one cell takes.

    parameters: number of trained parameters of one replicate; None where its parts are not built.
    memory: bytes.
    seconds: of training and measuring; None where the number of images or of parameters is not known.
    classifiers: seconds, of these, of classifiers that other cells with the same images share.
    disk: bytes of what is stored.
    processes: that share each batch of its training.
    """

    parameters: int | None
    memory: float
    seconds: float | None
    classifiers: float = 0.0
    disk: float = 0.0
    processes: int = 1

    @classmethod
    def of(
        cls,
        cell: Cell,
        parameters: int | None = None,
        num_images: int | None = None,
        pixels: int | None = None,
        operations: Operations | None = None,
        draws: int = 1,
    ) -> Self:
        """The cost of a cell.

        cell: the configuration.
        parameters: of one replicate, as far as its parts are built.
        num_images: training images, where the data set's number is known; ``limit`` is a bound either way.
        pixels: values of one image, where its shape is known.
        operations: for one image, where they are counted; else those of dense layers with so many weights, half of them
            the encoder's.
        draws: for which an objective encodes and decodes each image.
        """
        dataset = cell.dataset.signature  # which needs no import of torch
        images = min((n for n in (num_images, cell.limit) if n is not None), default=0)
        dim, evaluate = cell.latent_dim, cell.evaluate
        processes = cell.train.processes
        trained = 16 * (parameters or 0) * cell.seeds + 4 * images * (pixels or 0) * (not dataset.mapped)
        memory = (
            processes * trained
            + 4 * evaluate.samples * (dim + (pixels or 0))
            + 12 * min(images * dim, HELD_CODES)
            + 32 * evaluate.draws * dim
            + 8 * BOUNDED_TOGETHER * max(evaluate.importance, default=0)
            + 8 * PADDING_VALUES * max(evaluate.padding, default=0)
            + LIBRARY_BYTES * min(processes, 2)  # the others share theirs
        )
        seconds, classifiers = None, 0.0
        if parameters is not None and images:
            each = operations or Operations(parameters, parameters)
            held_out = dataset.num_held_out or images // 4
            updates = num_updates(cell.train.model_dump(), images)
            read = draws * updates * min(cell.train.batch_size, images)
            passes = 1 if images * dim <= HELD_CODES else STREAMED_PASSES
            flops = (
                each.trained * read / processes
                + each.encode * passes * (images + held_out)
                + each.decode * _decoded(evaluate, images, held_out)
                + _of_codes(evaluate, images, held_out, dim)
            )
            judged = evaluate.classifiers * bool(evaluate.samples) * max(3 * images, CLASSIFIED)
            classifiers = judged * CLASSIFIER_FLOPS / FLOPS_PER_SECOND
            training = updates * (UPDATE_SECONDS + PARAMETER_SECONDS * parameters)
            training += LATENT_SECONDS * read * dim / processes
            measuring = MEASURING_SECONDS + DRAW_SECONDS * (evaluate.draws + evaluate.samples)
            measuring += IMAGE_SECONDS * (images + held_out) + PIXEL_SECONDS * evaluate.samples * (pixels or 0)
            seconds = classifiers + cell.seeds * (training + measuring + flops / FLOPS_PER_SECOND)
        disk = TABLE_BYTES + cell.seeds * (
            4 * (parameters or 0) + 100 * evaluate.draws + SOURCES * evaluate.pictures * (pixels or 0) + 200 * dim
        )
        return cls(parameters, memory, seconds, classifiers, disk, processes)

    def __str__(self) -> str:
        parts = [f"≥ {readable_bytes(self.memory)}"]
        if self.parameters is not None:
            parts.insert(0, f"{self.parameters:,} parameters")
        if self.seconds is not None:
            parts.append(f"≥ {duration(self.seconds)}")
        return ", ".join(parts)


def _decoded(evaluate: Evaluate, images: int, held_out: int) -> int:
    """Number of images that measuring decodes, of at most ``images`` in a split; a gradient counts as three."""
    bounded = min(evaluate.importance_images, images) * max(evaluate.importance, default=0)
    bounded += held_out * bool(evaluate.importance)  # one draw of each, for ``log_px_all``
    displaced = DISPLACED_SETS * evaluate.displacements * evaluate.samples
    refined = REFINEMENT_STEPS * min(evaluate.refinement, images)
    transitions = evaluate.annealing * evaluate.annealing_chains * evaluate.annealing_temperatures
    return bounded + evaluate.samples + displaced + evaluate.calibration + 3 * (refined + LEAPFROG_STEPS * transitions)


def _of_codes(evaluate: Evaluate, images: int, held_out: int, dim: int) -> int:
    """Floating-point operations on the codes, ``dim`` numbers each, of so many training and held-out images."""
    chosen_from = () if MIXTURES in evaluate.omit else evaluate.components
    components = len(evaluate.covariances) * sum(min(number, images) for number in chosen_from)
    compared = min(evaluate.two_sample_draws, images)
    kernel = any(density.name == KERNEL for density in evaluate.densities)
    return (
        12 * evaluate.draws * (3 * images + 2 * held_out) * dim
        + 4 * kernel * min(images * held_out, KERNEL_LOGS) * dim
        + 8 * images * dim * components
        + 3 * compared**2 * dim
        + 200 * PADDING_PAIRS * sum(evaluate.padding)
        + 10 * evaluate.calibration * evaluate.calibration_draws * dim
        + (2 * images * dim**2 + dim**3 if dim <= COVARIANCE_DIM else 0)
    )


def check_cost(cell: Cell, cost: Cost) -> None:
    """Raises ConfigurationError where a cell needs more memory, or more time, than a cell may.

    cell: the configuration.
    cost: what it needs.
    """
    if cost.memory > CELL_BYTES:
        raise ConfigurationError(
            f"{cell.prior.name} at D = {cell.latent_dim} cannot be built: it needs {readable_bytes(cost.memory)} of "
            f"memory at least, where {readable_bytes(CELL_BYTES)} are allowed; lower latent_dim, evaluate.draws, seeds "
            "or the sizes of its parts"
        )
    if cost.seconds is not None and cost.seconds > CELL_SECONDS:
        raise ConfigurationError(
            f"{cell.prior.name} at D = {cell.latent_dim} cannot be computed: it takes {duration(cost.seconds)} "
            f"at least, where {duration(CELL_SECONDS)} are allowed; lower its epochs or updates, or what is "
            "asked of evaluate (draws, importance, annealing, refinement, calibration, displacements, padding)"
        )


def memory_together(costs: Iterable[Cost], workers: int) -> float:
    """Bytes that the most demanding cells take where ``workers`` processes compute one each.

    costs: of the cells.
    workers: number of processes.
    """
    return LIBRARY_BYTES + sum(heapq.nlargest(workers, (cost.memory - LIBRARY_BYTES for cost in costs)))


def readable_bytes(number: float) -> str:
    """A number of bytes in MB, GB or TB."""
    unit, size = next(((unit, size) for unit, size in _UNITS if number >= size), _UNITS[-1])
    return f"{number / size:,.3g} {unit}" if number < 1e15 else f"{number / size:,.0f} {unit}"
