"""Building: from a cell's configuration to its model, guide and objective."""

from __future__ import annotations

from torch import Tensor

from models.context import Context
from models.objectives import Objective
from models.shapes import Shapes
from models.vae import VAE
from study.design.cell import Cell


def new_vae(cell: Cell, image_shape: tuple[int, ...], examples: Tensor | None = None) -> VAE:
    """A freshly initialised VAE for images ``(B, *image_shape)``.

    cell: the configuration.
    image_shape: event shape of x, channels first.
    examples: training images ``(n, *image_shape)`` in [0, 1], for parts that start from data; see :class:`Context`.

    Raises ConfigurationError where a part refuses its options.
    """
    return vae_of(cell, Context(Shapes(cell.latent_shape, image_shape), cell.network.create(), examples))


def new_objective(cell: Cell) -> Objective:
    """The objective of ``cell`` with its options."""
    return cell.objective.create()


def vae_of(cell: Cell, context: Context) -> VAE:
    """The VAE of ``cell`` whose parts are made in ``context``, where the posterior is made known to the prior."""
    posterior = cell.posterior.create(context)
    prior = cell.prior.create(context.with_posterior(posterior))
    return VAE(prior, posterior, cell.likelihood.create(context))
