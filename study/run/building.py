"""Building: from a cell's configuration to its model, guide and objective, and what can be known wrong before that."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from analysis.randomness import seeded, stream
from models.context import Context
from models.networks import Absent, Weightless
from models.objectives import Objective
from models.shapes import Shapes
from models.vae import VAE
from study.design.cell import Cell
from study.design.families import DATASETS
from study.errors import ConfigurationError


def new_vae(cell: Cell, image_shape: tuple[int, ...], examples: Tensor | None = None) -> VAE:
    """A freshly initialised VAE for images ``(B, *image_shape)``.

    cell: the configuration.
    image_shape: event shape of x, channels first.
    examples: training images ``(n, *image_shape)`` in [0, 1], for parts that start from data; see :class:`Context`.

    Raises ConfigurationError where a part refuses its options.
    """
    return _parts(cell, Context(Shapes(cell.latent_shape, image_shape), cell.network.create(), examples))


def new_objective(cell: Cell) -> Objective:
    """The objective of ``cell`` with its options."""
    return cell.objective.create()


def check(cell: Cell, image_shape: tuple[int, ...] | None = None) -> None:
    """Raises ConfigurationError where a part refuses its options or another part.

    cell: the configuration.
    image_shape: event shape of x; the data set's own where none is given. Where that is known only once the images are
        read, what depends on it is not checked.
    """
    shape = image_shape or _nominal_shape(cell)
    network = Weightless(cell.network.create()) if shape else Absent()
    context = Context(Shapes(cell.latent_shape, shape or (1, 1, 1)), network)
    try:
        with seeded(stream(0, "check")):
            vae, objective = _parts(cell, context), new_objective(cell)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(f"{cell.prior.name} at D = {cell.latent_dim} cannot be built: {reason}") from error
    if objective.needs_factorised and not vae.posterior.factorised:
        raise ConfigurationError(
            f"objective {cell.objective.name} needs a factorised posterior; got {cell.posterior.name}: "
            "use posterior=diagonal_normal"
        )


def check_all(cells: Iterable[Cell]) -> None:
    """:func:`check` of every cell; cells that are built alike are built once."""
    built: set[tuple[object, ...]] = set()
    for cell in cells:
        parts = (
            cell.dataset,
            cell.image_size,
            cell.network,
            cell.posterior,
            cell.prior,
            cell.likelihood,
            cell.objective,
        )
        if (alike := (cell.latent_shape, *parts)) not in built:
            check(cell)
            built.add(alike)


def _parts(cell: Cell, context: Context) -> VAE:
    posterior = cell.posterior.create(context)
    prior = cell.prior.create(context.with_posterior(posterior))
    return VAE(prior, posterior, cell.likelihood.create(context))


def _nominal_shape(cell: Cell) -> tuple[int, int, int] | None:
    """Channels, height and width of the images as far as the configuration tells; of unknown channels, one."""
    stored = DATASETS[cell.dataset.name].image_shape
    if cell.image_size:
        return stored[0] if stored else 1, cell.image_size, cell.image_size
    return stored
