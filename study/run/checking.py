"""Checking: what can be known wrong of a cell, and what it takes, before anything of it is computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from analysis.randomness import seeded, stream
from models.context import Context
from models.networks import Absent, Weightless
from models.objectives import Objective
from models.shapes import Shapes
from models.vae import VAE
from study.design.cell import MIXTURES, Cell
from study.design.cost import Cost, Operations, check_cost
from study.design.registry import UnknownName
from study.errors import ConfigurationError
from study.measurement.estimators import families
from study.measurement.sources import registered as sources
from study.run.building import new_objective, vae_of
from study.run.operations import operations


class Size(NamedTuple):
    """What is counted of a cell's parts.

    parameters: number of trained parameters of one replicate.
    operations: for one image; None where they cannot be counted.
    draws: for which an image is encoded and decoded in an update.
    """

    parameters: int | None = None
    operations: Operations | None = None
    draws: int = 1


def check(cell: Cell, image_shape: tuple[int, ...] | None = None) -> Size:
    """Builds the parts of ``cell`` without weights, and counts them.

    cell: the configuration.
    image_shape: event shape of x; the data set's own where none is given. Where that is known only once the images are
        read, what depends on it is neither checked nor counted.

    Raises ConfigurationError where a part refuses its options or another part, or the cell takes too much.
    """
    shape = image_shape or _nominal_shape(cell)
    _cost(cell, shape, Size())
    network = cell.network.create() if shape else Absent()
    context = Context(Shapes(cell.latent_shape, shape or (1, 1, 1)), network)
    try:
        objective = new_objective(cell)
        vae = _weightless(cell, context)
    except AttributeError as error:
        raise ConfigurationError(
            f"{cell.prior.name} at D = {cell.latent_dim} cannot be built: {error}; does every part's constructor begin "
            "with super().__init__(context)?"
        ) from error
    except (RuntimeError, TypeError, ValueError, OverflowError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(f"{cell.prior.name} at D = {cell.latent_dim} cannot be built: {reason}") from error
    if objective.needs_factorised and not vae.posterior.factorised:
        raise ConfigurationError(
            f"objective {cell.objective.name} needs a factorised posterior; got {cell.posterior.name}: "
            "use posterior=diagonal_normal"
        )
    if cell.train.processes > 1:
        _check_shared(cell, objective, vae)
    parameters = sum(parameter.numel() for parameter in vae.parameters())
    return Size(parameters, operations(vae, shape, cell.latent_shape) if shape else None, objective.draws)


def _check_shared(cell: Cell, objective: Objective, vae: VAE) -> None:
    """Raises ConfigurationError where the loss of a batch is not the mean of those of its parts."""
    reason = None
    if not objective.mean_over_images:
        reason = f"objective {cell.objective.name} is not a mean over images"
    elif vae.prior.couples_images:
        reason = f"prior {cell.prior.name} draws random numbers for all images of a batch together"
    elif any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in vae.modules()):
        reason = f"network {cell.network.name} normalises over the images of a batch"
    if reason:
        raise ConfigurationError(
            f"train.processes must be 1, since {reason}, so that {cell.train.processes} processes would give another "
            "result than one"
        )


def check_all(cells: Iterable[Cell], images: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Cost]:
    """:func:`check` of every cell, by key; cells that are built alike are built once.

    cells: the configurations.
    images: shape (N, C, H, W) of the training images by a cell's key, where they are read.
    """
    built: dict[tuple[object, ...], Size] = {}
    costs: dict[str, Cost] = {}
    omissible = families() | sources().keys() | {MIXTURES}
    for cell in cells:
        for name in cell.evaluate.omit:
            if name not in omissible:
                raise ConfigurationError(f"evaluate.omit: {UnknownName('estimator or source', name, omissible)}")
        parts = (cell.dataset, cell.network, cell.posterior, cell.prior, cell.likelihood, cell.objective)
        num_images, *shape_read = (images or {}).get(cell.key, (None,))
        shape = tuple(shape_read) or _nominal_shape(cell)
        alike = (cell.latent_shape, shape, cell.train.processes > 1, *parts)
        if alike not in built:
            built[alike] = check(cell, shape)
        costs[cell.key] = _cost(cell, shape, built[alike], num_images)
    return costs


def _cost(cell: Cell, shape: tuple[int, ...] | None, size: Size, num_images: int | None = None) -> Cost:
    """The cost of a cell whose images have the event shape ``shape``; refused where it is too much."""
    num_images = num_images or cell.dataset.definition.num_images
    pixels = math.prod(shape) if shape else None
    cost = Cost.of(cell, size.parameters, num_images, pixels, size.operations, size.draws)
    check_cost(cell, cost)
    return cost


def _weightless(cell: Cell, context: Context) -> VAE:
    """The VAE with shapes and no values, on the meta device.

    A part whose constructor computes with values, as the masks of autoregressive flows, cannot be had there; the
    network's bodies, which are the largest, then still can.
    """
    try:
        with torch.device("meta"):
            return vae_of(cell, context)
    except (NotImplementedError, RuntimeError):
        with seeded(stream(0, "check")):
            return vae_of(cell, replace(context, network=Weightless(context.network)))


def _nominal_shape(cell: Cell) -> tuple[int, int, int] | None:
    """Channels, height and width of the images as far as the configuration tells; of unknown channels, one."""
    stored = cell.dataset.definition.image_shape
    if cell.image_size:
        return stored[0] if stored else 1, cell.image_size, cell.image_size
    return stored
