"""The prior of a model that was trained elsewhere: by name, from a file of a mixture's parameters, or as it is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from models.context import Context
from models.priors import Prior
from study.design.families import PRIORS
from study.design.registry import UnknownName
from study.diagnosis.arrays import read_arrays
from study.diagnosis.parts import GivenPrior, context_of
from study.errors import ConfigurationError, DataError

STANDARD = "standard_normal"


def ready_priors() -> list[str]:
    """Names of the registered priors that nothing has to be learned for."""
    ready = []
    for name in PRIORS:
        # Some need training images or a posterior, or more dimensions; they are not ready.
        with suppress(Exception):
            prior = PRIORS[name](context_of((2,)))
            if prior.support == "real" and not list(prior.parameters()):
                ready.append(name)
    return ready


def prior_of(prior: str | Path | Distribution, context: Context) -> Prior:
    """The prior as a part over the latent shape of ``context``.

    Args:
        prior: a registered name that needs no training; a file with ``weights`` (K,), ``loc`` (K, D) and ``scale``
            (K, D) or ``covariance`` (K, D, D) of a mixture of normals; or a distribution.
        context: shapes.

    Raises:
        ConfigurationError: for another name, or a distribution over another shape.
        DataError: for a file that cannot be read.
    """
    if isinstance(prior, Distribution):
        return GivenPrior(context, _over(prior, context.latent_shape))
    if Path(prior).suffix in {".npz", ".safetensors", ".nc", ".zarr"}:
        return GivenPrior(context, _mixture(Path(prior), context))
    name = str(prior)
    if name not in (ready := ready_priors()):
        if name not in PRIORS:
            raise ConfigurationError(f"{UnknownName('prior', name, ready)}; or give a file of a mixture's parameters")
        raise ConfigurationError(
            f"prior {name} has parameters that are learned with a model; name one of {', '.join(ready)}, give a file "
            "of a mixture's parameters, or in Python the distribution itself"
        )
    return PRIORS[name](context)


def _over(prior: Distribution, latent_shape: tuple[int, ...]) -> Distribution:
    whole = tuple(prior.batch_shape + prior.event_shape)
    if whole == () and latent_shape != ():
        prior = prior.expand(torch.Size(latent_shape))
        whole = tuple(latent_shape)
    if whole != tuple(latent_shape):
        raise ConfigurationError(
            f"the prior must be over latents {tuple(latent_shape)}; got batch shape {tuple(prior.batch_shape)} and "
            f"event shape {tuple(prior.event_shape)}: give one distribution over the whole latent"
        )
    if isinstance(prior, Independent):
        prior = prior.base_dist
    return Independent(prior, len(prior.batch_shape)) if prior.batch_shape else prior


class _Shaped(MixtureSameFamily):
    """A mixture over flattened latents as one over their shape."""

    def __init__(self, mixture: Categorical, components: Distribution, latent_shape: tuple[int, ...]) -> None:
        super().__init__(mixture, components, validate_args=False)
        self._latent_shape = tuple(latent_shape)

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """Draws ``(*sample_shape, *latent_shape)``."""
        return super().sample(torch.Size(sample_shape)).unflatten(-1, self._latent_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density (nats) of latents ``(…, *latent_shape)``."""
        return super().log_prob(value.flatten(-len(self._latent_shape)))


def _mixture(path: Path, context: Context) -> Distribution:
    arrays = {name: torch.tensor(values, dtype=torch.float32) for name, values in read_arrays(path).items()}
    spread = arrays.keys() & {"scale", "covariance"}
    if not {"weights", "loc"} <= arrays.keys() or len(spread) != 1:
        raise DataError(
            f"{path.name} must hold weights, loc, and scale or covariance of a mixture; it holds {', '.join(arrays)}"
        )
    weights, loc = arrays["weights"], arrays["loc"].flatten(1)
    if weights.ndim != 1 or len(loc) != len(weights) or loc.shape[1] != context.latent_dim:
        raise DataError(
            f"{path.name} must hold weights (K,) and loc (K, {context.latent_dim}); "
            f"got {tuple(weights.shape)} and {tuple(loc.shape)}"
        )
    if not (bool((weights >= 0).all()) and float(weights.sum()) > 0):
        raise DataError(f"{path.name} has weights that are negative or all 0; give those of a mixture")
    try:
        if "scale" in spread:
            components: Distribution = Independent(Normal(loc, arrays["scale"].flatten(1), validate_args=True), 1)
        else:
            components = MultivariateNormal(loc, arrays["covariance"], validate_args=True)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path.name} holds no mixture of normals: {reason}") from error
    return _Shaped(Categorical(weights / weights.sum()), components, context.latent_shape)
