r"""Density fits: a density r(z) fitted to the codes of a trained VAE, to be sampled in the place of its prior.

The networks stay frozen (ex-post density estimation; Ghosh et al. 2020, arXiv:1903.12436). The score of r is

    E_q[log r(z)] = −KL(q ‖ r) − H(q) ≤ −H(q)    over one code z ~ q(z|x) per held-out image,

and less E_q[log p(z)] it is the certified gap, a lower end of KL(q ‖ p) for every r. Images held out are split at
random in two halves: a fit chooses its size on one and is scored on the other, so that the choice cannot flatter the
score. The split depends on the generator alone: fits given generators of one seed are scored on the same images.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, get_type_hints

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from analysis.aggregate import Aggregate
from analysis.estimate import Bound, Estimate

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


class DensityRefused(ValueError):
    """The codes cannot support the density asked for; the message is the reason, in one sentence."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of N images, ``(N, *latent)`` each.

    loc: locations of q(z|x), which serve the densities that are built from q(z|x).
    scale: standard deviations of q(z|x), likewise.
    z: one draw of q(z|x) per image, which every density is fitted to and scored on.
    aggregate: their mixture, whose moments, once computed, serve every fit; None where locations and scales are the
        whole of it.

    Raises:
        ValueError: if the three differ in shape, dtype or device.
    """

    loc: Tensor
    scale: Tensor
    z: Tensor
    aggregate: Aggregate | None = None

    def __post_init__(self) -> None:
        kinds = {(tensor.shape, tensor.dtype, tensor.device) for tensor in (self.loc, self.scale, self.z)}
        if len(kinds) > 1 or self.z.ndim < 2 or not self.z.is_floating_point():
            shapes = ", ".join(f"{tuple(t.shape)} in {t.dtype} on {t.device}" for t in (self.loc, self.scale, self.z))
            raise ValueError(
                f"loc, scale and z must share one shape (N, *latent), dtype and device; got {shapes}: "
                "pass the codes of the same images"
            )

    @classmethod
    def draw(cls, aggregate: Aggregate, generator: torch.Generator) -> Codes:
        """Codes of all N images, with one draw of each q(z|x), in their order.

        Args:
            aggregate: of the images.
            generator: of the draws.
        """
        moments = aggregate.component_moments()
        z, _ = aggregate.sample_per_image(1, generator)
        return cls(moments.loc, moments.scale, z, aggregate)

    def __len__(self) -> int:
        return len(self.z)

    @property
    def latent_shape(self) -> torch.Size:
        """Shape of one latent."""
        return self.z.shape[1:]

    def at(self, index: Tensor) -> Codes:
        """Codes of the images ``index``, int64 ``(n,)``."""
        return Codes(self.loc[index], self.scale[index], self.z[index])

    def flattened(self) -> Codes:
        """The same codes as vectors ``(N, D)``."""
        return Codes(self.loc.flatten(1), self.scale.flatten(1), self.z.flatten(1), self.aggregate)


@dataclass(frozen=True, eq=False)
class Density(ABC):
    """A fitted density over vectors of D dimensions.

    choices: what the fit chose, by the name of the option it was chosen from, and the epochs it trained.
    flags: what a reader of its score must know.
    """

    bound: ClassVar[Bound] = "unbiased"
    """How E[log_prob] stands to log r: ``lower`` where r has no closed form and only a lower bound is evaluated."""

    choices: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    flags: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density ``(M,)`` (nats, float64, no gradient) of vectors ``z`` ``(M, D)`` in the dtype of the codes."""

    @abstractmethod
    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """Independent draws ``(num, D)`` on the device of the codes.

        Args:
            num: number of draws.
            generator: the whole of the randomness.
        """

    def normals(self) -> dict[str, Tensor] | None:
        """The density as a mixture of K normals over D dimensions, for use without this package; None where it is none.

        ``weights`` ``(K,)``, ``loc`` ``(K, D)``, and of the covariances ``scale`` ``(K, D)``, or ``scale_tril``
        ``(K, D, D)``, or ``diagonal`` ``(K, D)`` with ``factor`` ``(K, D, R)``.
        """
        return None

    @property
    def num_parameters(self) -> int | None:
        """Numbers that the density is kept as, those of :meth:`normals`; None where it says nothing of them."""
        parts = self.normals()
        return None if parts is None else sum(part.numel() for part in parts.values())


@dataclass(frozen=True, eq=False)
class FittedDensity:
    """A density over latents with its score on images that neither its parameters nor its size were chosen by.

    density: over flattened latents.
    latent_shape: of one latent.
    dtype: of latents.
    device: of latents.
    held_out_images: int64 ``(M/2,)``, positions among the held-out images of those the score rests on.
    log_held_out: log r(z) of their codes, nats, float64 ``(M/2,)``, for paired differences with other densities.
    """

    density: Density
    latent_shape: torch.Size
    dtype: torch.dtype
    device: torch.device
    held_out_images: Tensor
    log_held_out: Tensor

    @property
    def held_out_score(self) -> Estimate:
        """E_q[log r(z)] in nats; n counts images."""
        return Estimate.mean(self.log_held_out, self.density.bound, self.density.flags)

    @property
    def choices(self) -> Mapping[str, float]:
        """Options that the fit chose, by name."""
        return self.density.choices

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density ``(M,)`` (nats, float64) of latents ``z`` ``(M, *latent)``; see ``density.bound``.

        Raises:
            ValueError: if ``z`` is not like the codes of the fit.
        """
        if z.shape[1:] != self.latent_shape or z.dtype != self.dtype or z.device != self.device:
            raise ValueError(
                f"z must be (M, {', '.join(map(str, self.latent_shape))}) in {self.dtype} on {self.device} like the "
                f"codes of the fit; got {tuple(z.shape)} in {z.dtype} on {z.device}"
            )
        return self.density.log_prob(z.flatten(1))

    def sample(self, num: int, generator: torch.Generator) -> Tensor:
        """Independent draws ``(num, *latent)`` in the dtype and on the device of the codes.

        Args:
            num: number of draws.
            generator: the whole of the randomness.
        """
        return self.density.sample(num, generator).to(self.dtype).view(num, *self.latent_shape)


class DensityFit(ABC):
    """A kind of ex-post density and its options.

    To add one: a file in this folder with one final subclass whose constructor takes typed keyword-only options with
    their ranges (:mod:`analysis.options`), whose ``fit_vectors`` returns the density, and whose ``reference`` names the
    paper.
    """

    family: ClassVar[str] = "density"
    reference: ClassVar[str] = ""
    repeats_training_images: ClassVar[bool] = False
    """Whether its draws are codes of training images, so that what they decode to are these images again."""

    def __new__(cls, **options: Any) -> Self:
        """A fit whose ``options`` are of their types and within their ranges; ValueError names one that is not."""
        hints = get_type_hints(cls.__init__, include_extras=True)
        for name in options.keys() & hints.keys():
            try:
                TypeAdapter(hints[name], config=_STRICT).validate_python(options[name])
            except ValidationError as invalid:
                error = invalid.errors()[0]
                address = ".".join((cls.family, name, *map(str, error["loc"])))
                message = error["msg"][0].lower() + error["msg"][1:]
                raise ValueError(f"{address}: {message}; got {error['input']!r}") from None
        return super().__new__(cls)

    @abstractmethod
    def fit_vectors(self, codes: Codes, choice: Codes, generator: torch.Generator) -> Density:
        """The density of some codes, its size chosen, or its training stopped, by the score on others.

        Args:
            codes: of training images, flattened, ``(N, D)``.
            choice: of held-out images, flattened, ``(M, D)``.
            generator: the whole of the randomness.

        Raises:
            DensityRefused: where the codes cannot support it.
        """

    def fit(self, codes: Codes, held_out: Codes, generator: torch.Generator) -> FittedDensity:
        """The density of some codes, scored on half of others.

        Args:
            codes: of training images, ``(N, *latent)``.
            held_out: of other images, ``(M, *latent)``, M ≥ 4; the other half chooses the size or stops the training.
            generator: the whole of the randomness.

        Raises:
            DensityRefused: where the codes cannot support it, or there are too few held-out ones to be split.
            ValueError: if ``held_out`` is not like ``codes``.
        """
        expected, actual = ((part.latent_shape, part.z.dtype, part.z.device) for part in (codes, held_out))
        if expected != actual:
            raise ValueError(
                f"held-out codes must be of latents {list(expected[0])} in {expected[1]} on {expected[2]}; "
                f"got {list(actual[0])} in {actual[1]} on {actual[2]}"
            )
        if len(held_out) < 4:
            raise DensityRefused(f"held-out images both choose and judge: at least 4 images; got {len(held_out)}")
        order = torch.randperm(len(held_out), generator=generator, device=generator.device).to(codes.z.device)
        choice, report = order.tensor_split(2)
        vectors = held_out.flattened()
        density = self.fit_vectors(codes.flattened(), vectors.at(choice), generator)
        return FittedDensity(
            density,
            codes.latent_shape,
            codes.z.dtype,
            codes.z.device,
            held_out_images=report,
            log_held_out=density.log_prob(vectors.z[report]),
        )


def flag_at_end(option: str, chosen: float, tried: tuple[float, ...]) -> tuple[str, ...]:
    """A flag where the choice is the largest of several that were tried, so that a larger one may score higher.

    Args:
        option: name of what was chosen.
        chosen: its value.
        tried: the values it was chosen from.
    """
    at_end = len(tried) > 1 and math.isclose(chosen, max(tried))
    return (f"{option} = {chosen:g} is the largest tried",) if at_end else ()
