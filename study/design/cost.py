"""Cost: what a cell will take in memory and time, roughly and from below, without building its weights.

With P parameters, N training images of C·H·W pixels, U updates of B images, S replicates, D latent dimensions and M
evaluation draws, in bytes

    16 P S                   weights, gradient and Adam's two moments in single precision, for each replicate
    4 N C H W                images
    12 min(N D, 2²⁶)         codes of one replicate: loc, scale and z, as many as are in memory at once
    32 M D                   draws of aggregate and prior in single and double precision
    2³⁰                      Python and its libraries

and in floating-point operations at 50 GFLOP/s, which is one current processor core or two,

    6 P U B S                training: a product forwards and two backwards for each parameter and image
    32 M N D S               log q_N of draws of aggregate and prior, in both splits

Processes side by side share Python and its libraries, and nothing else. Convolutions use a weight at many places, and
mixtures compare every image with every component, so that both take more. What the configuration does not tell (P
before parts are built, N of a folder of images) is counted as nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from study.design.cell import Cell
from study.design.length import num_updates
from study.design.limits import CELL_BYTES
from study.errors import ConfigurationError

LIBRARY_BYTES = 2**30
HELD_CODES = 2**26
FLOPS_PER_SECOND = 5e10

_UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6))


@dataclass(frozen=True, slots=True)
class Cost:
    """An estimate from below of what one cell takes.

    parameters: number of trained parameters of one replicate; None where its parts are not built.
    memory: bytes.
    seconds: of training and measuring; None where the number of images or of parameters is not known.
    """

    parameters: int | None
    memory: float
    seconds: float | None

    @classmethod
    def of(
        cls, cell: Cell, parameters: int | None = None, num_images: int | None = None, pixels: int | None = None
    ) -> Self:
        """The cost of a cell.

        cell: the configuration.
        parameters: of one replicate, as far as its parts are built.
        num_images: training images, where the data set's number is known; ``limit`` is a bound either way.
        pixels: values of one image, where its shape is known.
        """
        images = min((n for n in (num_images, cell.limit) if n is not None), default=0)
        dim, draws = cell.latent_dim, cell.evaluate.draws
        memory = (
            16 * (parameters or 0) * cell.seeds
            + 4 * images * (pixels or 0)
            + 12 * min(images * dim, HELD_CODES)
            + 32 * draws * dim
            + LIBRARY_BYTES
        )
        seconds = None
        if parameters is not None and images:
            read = num_updates(cell.train.model_dump(), images) * min(cell.train.batch_size, images)
            flops = cell.seeds * (6 * parameters * read + 32 * images * draws * dim)
            seconds = flops / FLOPS_PER_SECOND
        return cls(parameters, memory, seconds)

    def __str__(self) -> str:
        parts = [f"≥ {readable_bytes(self.memory)}"]
        if self.parameters is not None:
            parts.insert(0, f"{self.parameters:,} parameters")
        if self.seconds is not None:
            parts.append(f"about {readable_seconds(self.seconds)}")
        return ", ".join(parts)


def check_cost(cell: Cell, cost: Cost) -> None:
    """Raises ConfigurationError where a cell needs more memory than a cell may.

    cell: the configuration.
    cost: what it needs.
    """
    if cost.memory > CELL_BYTES:
        raise ConfigurationError(
            f"{cell.prior.name} at D = {cell.latent_dim} cannot be built: it needs {readable_bytes(cost.memory)} of "
            f"memory at least, where {readable_bytes(CELL_BYTES)} are allowed; lower latent_dim, evaluate.draws, seeds "
            "or the sizes of its parts"
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


def readable_seconds(seconds: float) -> str:
    """A time in seconds, minutes, hours or days."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"
