"""Diagnose: from codes, or from an encoder and a decoder, to an answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from analysis.density_fits import FittedDensity
from analysis.estimate import Estimate
from analysis.float32 import full_float32
from analysis.tree import Measured, Records, build_tree
from models.vae import VAE
from study.design.cell import Cell, Evaluate
from study.design.families import PRIORS
from study.design.latent import written
from study.design.parts import GIVEN
from study.design.settings import validated
from study.diagnosis.answer import Answer
from study.diagnosis.codes import CodeArrays
from study.diagnosis.cost import announced, of_fits
from study.diagnosis.dimensions import dimension_records, weight
from study.diagnosis.features import GivenFeatures, flagged
from study.diagnosis.model import (
    check_decoder,
    check_encoder,
    check_images,
    device_of,
    held_still,
    in_own_precision,
    modules_of,
)
from study.diagnosis.observations import Rows, as_images, split
from study.diagnosis.parts import (
    Decode,
    Encode,
    GivenDensity,
    GivenMean,
    GivenPosterior,
    Link,
    NoDecoder,
    context_of,
    posterior_of,
)
from study.diagnosis.prior import prior_of
from study.errors import DataError
from study.measurement.measure import Measuring
from study.measurement.replicate import Observations, Replicate
from study.measurement.untrained import UntrainedFeatures

Say = Callable[[str], None]
"""Receiver of lines on progress."""

Heartbeat = Callable[[], None]
"""Called between steps; a KeyboardInterrupt out of it ends the measurement."""

PICTURED = (1, 3)
"""Numbers of channels of images that a result keeps."""

SECONDS_BETWEEN = 1.0
"""Between two lines that say what a diagnosis is at."""


def evaluation(**settings: Any) -> Evaluate:
    """Settings of a diagnosis: those of a study's cell, but for the choice of mixtures, which no question asks for."""
    return validated(Evaluate, {"components": (1,), "covariances": ("diagonal",), **settings})


def diagnose(
    encode: Encode,
    decode: Decode | None = None,
    *,
    images: Tensor,
    held_out: Tensor | None = None,
    labels: Tensor | None = None,
    held_out_labels: Tensor | None = None,
    prior: str | Path | Distribution = "standard_normal",
    features: Callable[[Tensor], Tensor] | None = None,
    link: Link = "identity",
    evaluate: Evaluate | None = None,
    name: str = "model",
    say: Say = lambda line: None,
    heartbeat: Heartbeat = lambda: None,
) -> Answer:
    """Diagnosis of the prior of a model, from its encoder and, where it is given, its decoder.

    Modules that the two functions are, belong to or refer to stand in evaluation mode meanwhile; their modes and the
    global random state of torch come back afterwards. No gradients are taken of parameters.

    Args:
        encode: images ``(n, …)`` to (loc, scale) of q(z|x), ``(n, *latent_shape)`` each, or to a distribution.
        decode: latents ``(n, *latent_shape)`` to images ``(n, C, H, W)``, or to a distribution of them.
        images: training images ``(N, C, H, W)`` in [0, 1]; without a decoder, whatever ``encode`` takes, ``(N, …)``.
        held_out: images that the model was not trained on; by default a seeded fifth of ``images`` is set aside.
        labels: classes of ``images``, whole numbers ``(N,)``.
        held_out_labels: those of ``held_out``.
        prior: a registered name that needs no training, a file of a mixture's parameters, or a distribution.
        features: images ``(m, C, H, W)`` to ``(m, F)``, in which samples are compared; by default those of a classifier
            trained on the labels, and without labels those of an untrained network.
        link: how numbers that ``decode`` gives become pixels.
        evaluate: what is measured, see :func:`evaluation`.
        name: what the model is called.
        say: takes lines on what is being done.
        heartbeat: called between steps; a KeyboardInterrupt that it raises, or that a signal raises within a step, ends
            the diagnosis, and what was done by then is kept.

    Raises:
        DataError: where images or codes are not what they should be, in one sentence.
        ConfigurationError: for an unknown prior, or one of another shape.

    >>> images = torch.rand(100, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> def encode(x):  # means far from 0
    ...     loc = x.flatten(1)[:, :2] + 3
    ...     return loc, torch.full_like(loc, 0.5)
    >>> answer = diagnose(encode, images=images, evaluate=evaluation(draws=200, densities=()))
    >>> print(answer.findings["Is there a mismatch?"][0])
    yes: held-out codes certify that the aggregate is not the prior
    """
    modules = modules_of(encode, decode)
    device = device_of(modules)
    encode = in_own_precision(encode, modules_of(encode))
    decode = None if decode is None else in_own_precision(decode, modules_of(decode))
    with held_still(modules):
        if decode is not None:
            check_images(images, "images")
            if held_out is not None:
                check_images(held_out, "held-out images")
        rows, said = split(images, held_out, labels, held_out_labels)
        rows = Rows(*(part.to(device) for part in vars(rows).values()))
        latent_shape = check_encoder(encode, rows.images)
        shape = tuple(rows.images.shape[1:])
        context = context_of(latent_shape, shape if decode is not None else (1, 1, 1))
        posterior = GivenPosterior(context, encode)
        data: Observations = rows
        if decode is None:
            likelihood: Any = NoDecoder(context)
        else:
            few = rows.images[:8]
            q = posterior_of(encode(few), len(few))
            if check_decoder(decode, _centre(q), few, link):
                likelihood = GivenDensity(context, decode)
            else:
                likelihood = GivenMean(context, decode, link)
            data = as_images(rows, name)
        vae = VAE(prior_of(prior, context), posterior, likelihood)
        space: Any = None
        if decode is not None:
            if features is not None:
                space = GivenFeatures(features)
            elif labels is None:
                space = UntrainedFeatures((shape[0], shape[1], shape[2]), device)
        content = sha256(f"{tuple(images.shape)}".encode())
        content.update(_centre(posterior_of(encode(rows.images[:64]), len(rows.images[:64]))).cpu().numpy().tobytes())
        subject = _Subject(name, content.hexdigest()[:12], said, math.prod(shape), _prior_name(prior))
        return _diagnosed(vae, data, evaluate or evaluation(), subject, rows.numbers, space, say, heartbeat)


def diagnose_codes(
    codes: CodeArrays,
    held_out: CodeArrays,
    *,
    said: str,
    prior: str | Path | Distribution = "standard_normal",
    evaluate: Evaluate | None = None,
    name: str = "codes",
    say: Say = lambda line: None,
    heartbeat: Heartbeat = lambda: None,
) -> Answer:
    """Diagnosis of the prior of a model, from its codes alone.

    Args:
        codes: of training observations, see :func:`study.diagnosis.codes.from_file`.
        held_out: of others.
        said: a sentence on where these come from.
        prior, evaluate, name, say, heartbeat: as in :func:`diagnose`.

    Raises:
        DataError, ConfigurationError: as :func:`diagnose` does.
    """
    context = context_of(codes.latent_shape)
    # Observations are numbers of rows: held-out ones follow the training ones.
    num, others = len(codes), len(held_out)

    def encode(rows: Tensor) -> tuple[Tensor, Tensor]:
        own = rows < num
        if bool(own.all()):
            return codes.at(rows)
        return held_out.at(rows - num)

    rows, labels = torch.arange(num + others), torch.zeros(num + others, dtype=torch.int64)
    numbers = torch.arange(num) if codes.rows is None else torch.from_numpy(codes.rows)
    data = Rows(rows[:num], labels[:num], rows[num:], labels[num:], numbers)
    with held_still([]):
        vae = VAE(prior_of(prior, context), GivenPosterior(context, encode), NoDecoder(context))
        subject = _Subject(name, codes.checksum, said, 0, _prior_name(prior))
        return _diagnosed(vae, data, evaluate or evaluation(), subject, numbers, None, say, heartbeat)


@dataclass(frozen=True, slots=True)
class _Subject:
    """Subject of a diagnosis.

    name: as its owner calls it. checksum: of its codes. said: where held-out observations come from.
    num_pixels: of an image; 0 where there are none. prior: its name, and whether it is registered.
    """

    name: str
    checksum: str
    said: str
    num_pixels: int
    prior: str


def _diagnosed(
    vae: VAE,
    data: Observations,
    evaluate: Evaluate,
    subject: _Subject,
    numbers: Tensor,
    space: Any,
    say: Say,
    heartbeat: Heartbeat,
) -> Answer:
    vae, device = vae.eval(), data.images.device
    gives = vae.likelihood.gives
    unasked: dict[str, Any] = {} if gives == "density" else {"importance": (), "calibration": 0, "annealing": 0}
    if gives == "nothing":
        unasked |= {"samples": 0, "pictures": 0, "displacements": 0}
    elif data.images.shape[1] not in PICTURED:
        unasked |= {"pictures": 0}
    evaluate = evaluate.model_copy(update=unasked)
    replicate = Replicate(vae, data, data, evaluate, seed=0, features=space, heartbeat=heartbeat)
    with full_float32(device):
        say(announced(replicate))  # which encodes
    began, told, missing_from = time.perf_counter(), 0.0, ""
    measuring, extra = Measuring(replicate), dict[str, Records]()
    try:
        with full_float32(device):
            for step in measuring.steps():  # the heart beats before each estimator and each fit
                if (seconds := time.perf_counter() - began) - told >= SECONDS_BETWEEN:
                    say(f"{seconds:7.1f} s  {step}")
                    told = seconds
        measuring.step = "dimensions"
        extra = dimension_records(replicate, numbers)
        if gives != "nothing":
            extra["weight"] = _scalars(weight(replicate))
    except KeyboardInterrupt:
        missing_from = measuring.step
        say(f"interrupted at the step {missing_from}; the same command measures anew")
    if (costs := of_fits(measuring.densities)) is not None:
        extra["costs"] = costs
    measured = flagged(measuring.result(), getattr(space, "flag", ""))
    if not any(row for table in measured.tables.values() for row in table.values()):
        raise KeyboardInterrupt
    details = {
        "name": subject.name,
        "held_out": subject.said,
        "interrupted": bool(missing_from),
        "missing_from": missing_from,
        "features": getattr(space, "flag", "features of a classifier of the labels" if gives != "nothing" else "none"),
        "num_pixels": subject.num_pixels,
        "latent_dim": math.prod(vae.prior.latent_shape),
        "latent_shape": str(written(vae.prior.latent_shape)),
        "device": str(device),
        "measurement_seconds": round(time.perf_counter() - began, 3),
    }
    cell = _cell(subject, vae, evaluate)
    attributes = {"latent_dim": cell.latent_dim, "prior": subject.prior, "cell": cell.key, "units": "nats"}
    whole = Measured(tables=measured.tables, mixtures=measured.mixtures, records={**measured.records, **extra})
    tree = build_tree([whole], {}, attributes | {"device": str(device), "diagnosed": subject.name})
    fits = {label: one.fit for label, one in measuring.densities.items() if isinstance(one.fit, FittedDensity)}
    return Answer(subject.name, cell, tree, fits, details, subject.checksum)


def _scalars(estimate: Estimate) -> Records:
    values = {"value": estimate.value, "standard_error": estimate.standard_error}
    return Records({name: ((), torch.tensor(value, dtype=torch.float64)) for name, value in values.items()})


def _cell(subject: _Subject, vae: VAE, evaluate: Evaluate) -> Cell:
    """The model as a cell of a study, whose parts are what they were given as."""
    shape = vae.prior.latent_shape
    prior = subject.prior if subject.prior in PRIORS else {"name": GIVEN, "of": subject.prior}
    return Cell.from_config(
        {
            "dataset": GIVEN,
            "binarisation": "none",
            "latent_dim": written(shape),
            "network": {"name": GIVEN, "of": subject.name},
            "posterior": GIVEN,
            "prior": prior,
            "likelihood": GIVEN,
            "objective": GIVEN,
            "seeds": 1,
            "evaluate": evaluate.model_dump(mode="json"),
        }
    )


def _prior_name(prior: str | Path | Distribution) -> str:
    return type(prior).__name__ if isinstance(prior, Distribution) else Path(prior).name


def _centre(q: Any) -> Tensor:
    """A latent of each of a few posteriors: the mean, or a draw where there is none in closed form."""
    try:
        centre: Tensor = q.mean
    except NotImplementedError:
        centre = q.sample()
    if not bool(torch.isfinite(centre).all()):
        raise DataError("encode gave codes that are not finite for the first images; look at the model's weights")
    return centre
