r"""Parts of a model that was trained elsewhere, in the words of this project: q(z|x), p(z) and p(x|z) as callables.

What measures a replicate asks a :class:`~models.vae.VAE` for its three distributions and for nothing else. Here they
are what functions of the model's owner return, so that every estimator applies to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, final, override

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from models.context import Context
from models.likelihoods import Likelihood
from models.networks import Absent
from models.posteriors import Posterior
from models.priors import Prior
from models.shapes import Shapes
from study.errors import DataError

Link = Literal["identity", "sigmoid", "tanh"]
"""How numbers that a decoder gives become pixels in [0, 1]: as they are, as logits, or from [−1, 1]."""

LINKS: dict[Link, Callable[[Tensor], Tensor]] = {
    "identity": lambda values: values,
    "sigmoid": torch.sigmoid,
    "tanh": lambda values: (values + 1) / 2,
}

Encode = Callable[[Any], Any]
"""Observations ``(n, …)`` to (loc, scale), ``(n, *latent_shape)`` each, or to a distribution of batch ``(n,)``."""

Decode = Callable[[Any], Any]
"""Latents ``(n, *latent_shape)`` to images ``(n, C, H, W)``, or to a distribution of them."""


def context_of(latent_shape: tuple[int, ...], image_shape: tuple[int, ...] = (1, 1, 1)) -> Context:
    """The ``latent_shape`` and ``image_shape`` of a model without networks of ours."""
    return Context(Shapes(latent_shape, image_shape), Absent())


@final
class GivenPosterior(Posterior):
    """q(z|x) as a function gives it.

    context: shapes.
    encode: see :data:`Encode`.
    """

    def __init__(self, context: Context, encode: Encode) -> None:
        super().__init__(context)
        self._encode_given = encode

    @override
    def forward(self, images: Tensor) -> TorchDistribution:
        return posterior_of(self._encode_given(images), len(images), self.latent_shape)


def posterior_of(codes: Any, num: int, latent_shape: tuple[int, ...] | None = None) -> Any:
    """The distribution of batch shape ``(num,)`` that an encoder's output is.

    Args:
        codes: (loc, scale), or a distribution.
        num: number of observations.
        latent_shape: that every block must have; None where it is not known yet.

    Raises:
        DataError: where it is neither, or of another shape.
    """
    if isinstance(codes, Distribution):
        own = codes
        if isinstance(own, Normal):
            own = Independent(Normal(_single(own.loc), _single(own.scale)), own.loc.ndim - 1)
        elif isinstance(own, Independent) and isinstance(own.base_dist, Normal):
            base = Normal(_single(own.base_dist.loc), _single(own.base_dist.scale))
            own = Independent(base, base.loc.ndim - 1)
        shape, event = own.batch_shape, own.event_shape
        if shape != (num,):
            raise DataError(
                f"encode must give a distribution with batch shape ({num},) for {num} images; got batch shape "
                f"{tuple(shape)} and event shape {tuple(event)}: make all latent dimensions its event"
            )
    elif isinstance(codes, tuple | list) and len(codes) == 2 and all(isinstance(part, Tensor) for part in codes):
        loc, scale = (_single(part.detach()) for part in codes)
        if loc.shape != scale.shape or loc.ndim < 2 or len(loc) != num:
            raise DataError(
                f"encode must give loc and scale of one shape ({num}, *latent_shape); "
                f"got {tuple(loc.shape)} and {tuple(scale.shape)}"
            )
        check_scale(scale)
        own, event = Independent(Normal(loc, scale, validate_args=False), loc.ndim - 1), loc.shape[1:]
        if not bool(torch.isfinite(loc).all()):
            bad = (~torch.isfinite(loc)).flatten(1).any(1)
            raise DataError(f"encode gave codes that are not finite for {int(bad.sum())} of {num} images of a block")
        if (most := float(loc.abs().max())) > LARGEST_LOC:
            raise DataError(
                f"encode gave means as large as {most:.3g}, beyond {LARGEST_LOC:g}: look at the model's weights"
            )
    else:
        what = type(codes).__name__
        raise DataError(f"encode must give (loc, scale) or a distribution; got {what}: name mean and scale, no draw")
    if latent_shape is not None and tuple(event) != tuple(latent_shape):
        raise DataError(
            f"encode gave latents {tuple(latent_shape)} for one block of images and {tuple(event)} for another; "
            "give images of one size"
        )
    return own


def check_scale(scale: Tensor) -> None:
    """Raises DataError where ``scale`` of any shape holds numbers that standard deviations cannot be."""
    low, high = (float(end) for end in torch.aminmax(scale))
    if low < 0:
        raise DataError(
            f"scale has negative numbers, from {low:.3g} to {high:.3g}: they look like log-variances; "
            "give exp(½ log-variance), or name them log_variance"
        )
    if not (low >= SMALLEST_SCALE and high <= LARGEST_SCALE):
        number = int((~((scale >= SMALLEST_SCALE) & (scale <= LARGEST_SCALE))).sum())
        raise DataError(
            f"scale must lie between {SMALLEST_SCALE:g} and {LARGEST_SCALE:g}; {number:,} numbers of {low:.3g} to "
            f"{high:.3g} do not: look at how they were written"
        )


SMALLEST_SCALE, LARGEST_SCALE = 1e-6, 100.0
"""Smaller standard deviations are those of no noise, below the rounding of means in single precision; larger ones are
taken for something else, percentages or variances of raw data."""

LARGEST_LOC = 1e6
"""Means beyond it are those of no code: densities of single precision would overflow."""


def _single(values: Tensor) -> Tensor:
    """In single precision, that of the prior's draws, which meet the codes; log-densities are summed in double."""
    return values.float()


@final
class GivenPrior(Prior):
    """p(z) that is fixed.

    context: shapes.
    distribution: over the latent shape.
    """

    def __init__(self, context: Context, distribution: Distribution) -> None:
        super().__init__(context)
        self._distribution = distribution

    @override
    def forward(self) -> Any:
        return self._distribution


class _Given(Likelihood):
    """A decoder as a function; its context has the shape of its images."""

    def __init__(self, context: Context, decode: Decode) -> None:
        super().__init__(context)
        self._decode_given = decode


@final
class GivenDensity(_Given):
    """p(x|z) as a function gives it."""

    @override
    def forward(self, latents: Tensor) -> Any:
        density = self._decode_given(latents)
        extra = len(density.batch_shape) - 1
        return Independent(density, extra) if extra > 0 else density


class _Picture:
    """Stands for p(x|z) where its mean is all that is known."""

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean


@final
class GivenMean(_Given):
    """E[x|z] as a function gives it; log p(x|z) is not known.

    context: shapes.
    decode: to numbers.
    link: what makes pixels of them.
    """

    gives = "mean"

    def __init__(self, context: Context, decode: Decode, link: Link) -> None:
        super().__init__(context, decode)
        self._link = LINKS[link]

    @override
    def forward(self, latents: Tensor) -> Any:
        images = self._link(self._decode_given(latents))
        if images.shape != (len(latents), *self.image_shape):
            raise DataError(
                f"decode must give images {tuple(self.image_shape)} like those that were given; "
                f"got {tuple(images.shape)} for {len(latents)} latents"
            )
        return _Picture(images.float())


@final
class NoDecoder(Likelihood):
    """Stands where there is no decoder; what would need one is refused."""

    gives = "nothing"

    @override
    def forward(self, latents: Tensor) -> Any:
        raise TypeError("there is no decoder; an estimator that decodes must declare the need DECODER")
