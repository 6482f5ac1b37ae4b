"""Cell: one configuration with S replicates, the unit of computation and of storage.

A cell's key is a hash of everything that defines its result, defaults included, and of nothing else: not the device,
the number of workers, the engine that ran it, or a path. Equal keys mean the same result up to rounding.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Literal, final

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from models.options import LARGEST_COUNT, AtLeastTwo, Count, NonNegative, Positive
from study.design.latent import shape_of, written
from study.design.notation import frozen
from study.design.parts import Member, Part, resolve
from study.design.settings import Settings, validated

Binarisation = Literal["none", "threshold", "dynamic", "fixed"]
"""Treatment of grey pixels, see :mod:`study.run.data.binarisation`."""

NonNegativeCount = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
OrNone = BeforeValidator(lambda value: None if value == "none" else value)


@final
class Train(Settings):
    """How the networks are fitted."""

    execution: ClassVar[set[str]] = {"engine", "replicates", "checkpoint_every", "processes"}
    """Fields that change how a result is computed, and not the result."""

    epochs: Annotated[Count | None, OrNone] = Field(
        default=100, description="passes over the training images; none where train.updates is given"
    )
    updates: Annotated[Count | None, OrNone] = Field(
        default=None, description="updates of the weights, in the place of train.epochs; none: those of the epochs"
    )
    batch_size: Count = Field(default=128, description="images per step")
    learning_rate: Positive = Field(default=1e-3, description="of Adam")
    schedule: Literal["constant", "cosine"] = Field(default="constant", description="learning rate over the run")
    kl_warmup: NonNegative = Field(default=0.0, description="epochs over which the latent term grows from 0 to beta")
    kl_cycles: Count = Field(default=1, description="times that the warm-up is run, from the start of equal cycles")
    aggressive_epochs: NonNegative = Field(default=0.0, description="first epochs in which the encoder is ahead")
    encoder_updates: Count = Field(default=1, description="updates of the encoder for each of decoder and prior, then")
    patience: Annotated[Count | None, OrNone] = Field(
        default=None, description="epochs without a better held-out ELBO before training stops; none: never"
    )
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="of training; measurement is unaffected")
    engine: Literal["auto", "compiled", "traced", "eager"] = Field(
        default="auto", description="one compiled graph, its operations as they are traced, or plain SVI"
    )
    replicates: Literal["auto", "together", "one_by_one"] = Field(
        default="auto", description="whether seeds share a program; auto: by a short trial, on a GPU always"
    )
    checkpoint_every: Positive = Field(default=60.0, description="seconds between checkpoints")
    processes: Count = Field(default=1, description="that share each batch, an equal part each, on cores or GPUs")

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, values: Any) -> Any:
        """Updates stand in the place of the default number of epochs, and beside no other."""
        if not isinstance(values, Mapping) or values.get("updates", "none") in (None, "none"):
            return values
        if values.get("epochs", "none") not in (None, "none"):
            raise ValueError("a training has one length; give train.updates or train.epochs, and not both")
        return {**values, "epochs": None}

    @field_validator("updates")
    @classmethod
    def _some_length(cls, updates: int | None, info: ValidationInfo) -> int | None:
        if updates is None and info.data.get("epochs", 1) is None:
            raise ValueError("a training needs a length; give train.epochs or train.updates a number")
        return updates

    @field_validator("processes")
    @classmethod
    def _batches_are_shared(cls, processes: int, info: ValidationInfo) -> int:
        if processes > 1 and info.data.get("engine") in ("compiled", "traced"):
            raise ValueError(
                "several processes share a batch with the eager engine alone; use train.engine=eager or auto"
            )
        batch_size = info.data.get("batch_size", processes)
        if batch_size % processes:
            raise ValueError(f"train.batch_size = {batch_size} must be a multiple of the processes; change one of them")
        return processes

    @field_validator("kl_cycles")
    @classmethod
    def _warm_up_fits(cls, cycles: int, info: ValidationInfo) -> int:
        epochs, warmup = info.data.get("epochs") or math.inf, info.data.get("kl_warmup", 1.0)
        if cycles > 1 and not 0 < warmup * cycles <= epochs:
            raise ValueError(
                f"a warm-up of kl_warmup = {warmup:g} epochs in each of {cycles} cycles must be positive and fit into "
                f"{epochs} epochs; change kl_warmup or kl_cycles"
            )
        return cycles


MIXTURES = "mixtures"
"""Name by which the choice among fitted mixtures is left out of a measurement."""

DENSITIES_FITTED = ("aggregate_kernel", "gaussian_mixture", "moment_normal")


@final
class Evaluate(Settings):
    """How a fitted cell is measured."""

    draws: Count = Field(default=2000, description="evaluation draws per replicate")
    components: Annotated[tuple[Count, ...], Field(min_length=1)] = Field(
        default=(1, 2, 5, 10, 20, 50), description="numbers of components among which a fitted mixture is chosen"
    )
    covariances: Annotated[tuple[Literal["diagonal", "full", "tied", "low_rank"], ...], Field(min_length=1)] = Field(
        default=("diagonal", "full"), description="covariances of the fitted mixtures"
    )
    rank: Count = Field(default=4, description="factors of a low_rank covariance, fewer than latent dimensions")
    densities: tuple[Annotated[Part, Member("density")], ...] = Field(
        default_factory=lambda: tuple(resolve("density", name) for name in DENSITIES_FITTED),
        description="densities fitted to codes, to sample from: names, or {name: flow, num_transforms: 5}",
    )
    importance: tuple[Count, ...] = Field(
        default=(1, 10, 100), description="draws K of importance-weighted bounds on held-out log p(x); []: none"
    )
    importance_images: Count = Field(default=500, description="held-out images, at most, whose log p(x) is bounded")
    two_sample_draws: NonNegativeCount = Field(
        default=1_000,
        description="codes, and as many prior draws, at most, that tests on samples alone compare; 0: none",
    )
    samples: NonNegativeCount = Field(
        default=1_000, description="images per source judged for realism, where it can give as many; 0: none"
    )
    classifiers: Count = Field(
        default=1,
        description="classifiers of other seeds, whose disagreement enters the error of each replicate's distances",
    )
    features: tuple[Literal["untrained"], ...] = Field(
        default=(), description="feature spaces in which distances are taken beside the classifiers': [untrained]"
    )
    pictures: NonNegativeCount = Field(default=20, description="of these, images per source kept to look at")
    displacements: NonNegativeCount = Field(
        default=0, description="directions of each kind along which codes are displaced, to see what is lost; 0: none"
    )
    refinement: NonNegativeCount = Field(
        default=0, description="training images whose codes are refined, to see what amortisation costs; 0: none"
    )
    omit: tuple[str, ...] = Field(
        default=(),
        description="estimators and sources that are left out, by the names of their files, such as [growth,gain], "
        f"and the choice among fitted mixtures, as {MIXTURES}",
    )
    padding: tuple[Count, ...] = Field(
        default=(), description="dimensions up to which inert ones are appended as a control, such as [1024,65536]"
    )
    calibration: NonNegativeCount = Field(
        default=0, description="simulated images by which the calibration of q(z|x) is judged; 0: none"
    )
    calibration_draws: Count = Field(default=99, description="draws of q(z|x) among which each simulated z is ranked")
    annealing: NonNegativeCount = Field(
        default=0, description="images whose log p(x) is bounded by annealed importance sampling; 0: none"
    )
    annealing_chains: Count = Field(default=4, description="annealed chains of each image")
    annealing_temperatures: Annotated[int, Field(ge=2)] = Field(
        default=500, description="steps from q(z|x) to p(x, z) that each chain takes"
    )

    @field_validator("densities")
    @classmethod
    def _each_once(cls, densities: tuple[Part, ...]) -> tuple[Part, ...]:
        labels = [density.label for density in densities]
        repeated = [label for label in labels if labels.count(label) > 1]
        if repeated:
            raise ValueError(f"{repeated[0]} is named twice; name each density once")
        return densities


LATER: dict[tuple[str, ...], Any] = {
    ("train", "updates"): None,
    ("evaluate", "refinement"): 0,
    ("evaluate", "omit"): [],
    ("evaluate", "classifiers"): 1,
    ("evaluate", "features"): [],
    ("network", "rank"): None,
    ("network", "dense_bias"): "place",
    ("network", "activation"): "relu",
    ("seed_offset",): 0,
}
"""Settings that joined after cells had been stored, by section, if any, and name, with the value that says what was
done before them: at it they are left out of the key, so that a cell keeps its key, and with it its random numbers."""

NOT_TRAINING = ("evaluate", "seeds", "seed_offset")
"""Settings of a cell that a training does not depend on, or only through its seed."""


def key_of(config: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of the SHA-256 of those settings of a cell's configuration that define its result."""

    def is_absent(*path: str, value: Any) -> bool:
        return path in LATER and value == LATER[path]

    def defining(section: str, settings: Any) -> Any:
        if not isinstance(settings, Mapping):
            return settings
        return {
            name: value
            for name, value in settings.items()
            if not (section == "train" and name in Train.execution) and not is_absent(section, name, value=value)
        }

    kept = {name: value for name, value in config.items() if not is_absent(name, value=value)}
    text = json.dumps({section: defining(section, settings) for section, settings in kept.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def seeds_of(config: Mapping[str, Any]) -> range:
    """Training seeds of the replicates of a cell's configuration, in their order."""
    first, number = (config.get(name, Cell.model_fields[name].default) for name in ("seed_offset", "seeds"))
    return range(first, first + number)


def _choice(kind: str, default: str, description: str) -> Any:
    return Field(default_factory=partial(resolve, kind, default), description=description)


@final
class Cell(Settings):
    """One configuration with ``seeds`` replicates; every default is filled in."""

    dataset: Annotated[Part, Member("dataset")] = _choice("dataset", "digits", "images")
    binarisation: Binarisation = Field(
        default="dynamic", description="grey pixels as they are, cut at 1/2, or drawn as Bernoulli per epoch or once"
    )
    image_size: Annotated[Count | None, OrNone] = Field(default=None, description="side in pixels; none: as stored")
    limit: Annotated[AtLeastTwo | None, OrNone] = Field(default=None, description="training images to use; none: all")
    latent_shape: Annotated[tuple[int, ...], BeforeValidator(shape_of), PlainSerializer(written)] = Field(
        default=(32,), alias="latent_dim", description="D, or channels × height × width as 16x8x8"
    )
    network: Annotated[Part, Member("network")] = _choice("network", "mlp", "encoder and decoder bodies")
    posterior: Annotated[Part, Member("posterior")] = _choice("posterior", "diagonal_normal", "q(z|x)")
    prior: Annotated[Part, Member("prior")] = _choice("prior", "standard_normal", "p(z)")
    likelihood: Annotated[Part, Member("likelihood")] = _choice("likelihood", "bernoulli", "p(x|z)")
    objective: Annotated[Part, Member("objective")] = _choice("objective", "elbo", "what SVI minimises")
    beta: NonNegative = Field(default=1.0, description="scale of the latent term in training")
    seeds: Count = Field(default=2, description="replicates: independent trainings of the same configuration")
    seed_offset: NonNegativeCount = Field(
        default=0,
        description="seed of the first replicate: all random numbers of replicate r follow offset + r, those of its "
        "first weights also how it is trained; 100 repeats a study on fresh seeds",
    )
    train: Train = Field(default_factory=Train)
    evaluate: Evaluate = Field(default_factory=Evaluate)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Cell:
        """The cell of a configuration as :meth:`config` gives it, or of any part of one.

        config: settings by name, sections as mappings, with lists or tuples; what is left out has its default.

        Raises ConfigurationError where a name is unknown or a value out of range.

        >>> cell = Cell.from_config({"latent_dim": 8, "prior": "vamp", "train": {"epochs": 3}})
        >>> cell.latent_dim, cell.prior.name, cell.beta
        (8, 'vamp', 1.0)
        >>> cell.key == Cell.from_config(cell.config()).key
        True
        """
        return validated(cls, frozen(config))

    def config(self) -> dict[str, Any]:
        """Every setting as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def latent_dim(self) -> int:
        """Number of latent dimensions D, the product of the latent shape."""
        return math.prod(self.latent_shape)

    @cached_property
    def key(self) -> str:
        """:func:`key_of` this cell's configuration."""
        return key_of(self.config())

    @cached_property
    def training_key(self) -> str:
        """:func:`key_of` what defines its trainings: cells that differ in their measurement alone share it.

        >>> cell = Cell.from_config({"evaluate": {"draws": 100}})
        >>> cell.training_key == Cell.from_config({"seeds": 5}).training_key != cell.key
        True
        """
        return key_of({name: value for name, value in self.config().items() if name not in NOT_TRAINING})
