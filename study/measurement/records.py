"""Records: arrays of single draws and images that are kept beside the estimates, for figures and regressions.

Each is a group of the result's tree (see :mod:`analysis.tree`): variables by name, with their dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from analysis.geometry.overlap import log_bhattacharyya, unit_total_variation
from analysis.information import kl_standard_normal
from analysis.padding import inert_padding
from analysis.tree import Records
from study.measurement.displacements import displaced
from study.measurement.estimators import Refused
from study.measurement.estimators.calibration import uniformity
from study.measurement.estimators.growth import curve
from study.measurement.estimators.likelihood import bounds
from study.measurement.estimators.spectrum import eigenvalues
from study.measurement.replicate import Replicate, Split
from study.measurement.samples import Samples, decoded_draws

CODES = 1_000
"""Training images whose bubbles are kept one by one."""
RANKS = 512
PADDING_IMAGES, PADDING_DRAWS = 200, 100
FAMILY_OF = {
    "importance_bounds": "likelihood",
    "spectrum": "spectrum",
    "subsampling": "growth",
    "calibration": "calibration",
}
"""The family of estimators that a group shows the single values of, and without which it is left out."""


def records(replicate: Replicate, sources: Mapping[str, Samples]) -> dict[str, Records]:
    """Groups by name; those that this replicate has nothing for are absent.

    Args:
        replicate: what its estimates were made of.
        sources: the samples of every source, by name; empty where none were asked for.
    """
    groups: dict[str, Callable[[], Records | None]] = {
        "posterior": lambda: _posterior(replicate),
        "sample_stats": lambda: _sample_stats(replicate),
        "constant_data": lambda: _images(replicate),
        "importance_bounds": lambda: _importance_bounds(replicate),
        "prior_draws": lambda: _prior_draws(replicate),
        "shells": lambda: _shells(replicate),
        "codes": lambda: _codes(replicate.train),
        "spectrum": lambda: _spectrum(replicate.train),
        "subsampling": lambda: _subsampling(replicate),
        "calibration": lambda: _calibration(replicate),
        "padding": lambda: _padding(replicate, replicate.evaluate.padding),
        "decoded": lambda: _decoded(sources),
        "displacements": lambda: _displacements(sources),
        "samples": lambda: _pictures(sources, replicate.evaluate.pictures),
    }
    asked = {name: made for name, made in groups.items() if FAMILY_OF.get(name) not in replicate.evaluate.omit}
    return {name: group for name, made in asked.items() if (group := made()) is not None}


def _by_split(replicate: Replicate, values: Callable[[Split], Mapping[str, Tensor]]) -> Records:
    """Arrays ``(M,)`` of both splits by name, side by side."""
    columns = {name: values(split) for name, split in replicate.splits.items()}
    names = columns[replicate.train.name]
    return Records(
        {name: (("draw", "split"), torch.stack([column[name] for column in columns.values()], -1)) for name in names},
        {"split": list(columns)},
    )


def _posterior(replicate: Replicate) -> Records:
    """Integrands of each draw, in nats; those of held-out draws under the training aggregate belong to no split."""
    both = _by_split(
        replicate,
        lambda split: (
            split.draws.integrands()
            | {"kl_reverse": -split.from_prior.log_ratio}
            | ({"distortion": split.distortion} if replicate.vae.likelihood.gives == "density" else {})
        ),
    )
    unseen = {f"certified_{name}": (("draw",), values) for name, values in replicate.unseen.integrands().items()}
    return Records({**both.variables, **unseen}, both.coords)


def _sample_stats(replicate: Replicate) -> Records:
    return _by_split(
        replicate,
        lambda split: {
            "log_q": split.draws.log_aggregate,
            "log_p": split.draws.log_prior,
            "log_q_given_x": split.draws.log_conditional,
        },
    )


def _images(replicate: Replicate) -> Records:
    return _by_split(replicate, lambda split: {"image": split.component})


def _importance_bounds(replicate: Replicate) -> Records | None:
    sizes = replicate.evaluate.importance
    if not sizes:
        return None
    bounds_by_image = bounds(replicate.held_out)
    return Records({f"log_px_{size}": (("image",), bounds_by_image.per_image(size)) for size in sizes})


def _prior_draws(replicate: Replicate) -> Records:
    return _by_split(
        replicate, lambda split: {"log_q": split.from_prior.log_aggregate, "log_p": split.from_prior.log_prior}
    )


def _shells(replicate: Replicate) -> Records:
    draws = {"aggregate_norm": replicate.train.z, "prior_norm": replicate.prior_z}
    return Records({name: (("draw",), z.flatten(1).double().norm(dim=1)) for name, z in draws.items()})


def _codes(split: Split) -> Records | None:
    if not split.aggregate.is_diagonal:
        return None
    codes = split.codes_of(CODES)
    loc, scale = codes.loc, codes.scale
    values = {
        "mean_norm": loc.flatten(1).double().norm(dim=1),
        "kl_standard": kl_standard_normal(loc, scale).flatten(1).sum(1),
        "log_bhattacharyya": log_bhattacharyya(loc, scale),
        "unit_total_variation": unit_total_variation(loc),
    }
    return Records({name: (("code",), value) for name, value in values.items()})


def _spectrum(split: Split) -> Records | None:
    try:
        return Records({"eigenvalue": (("rank",), eigenvalues(split)[:RANKS])})
    except Refused:
        return None


def _subsampling(replicate: Replicate) -> Records | None:
    curves = {name: of_split for name, split in replicate.splits.items() if (of_split := curve(split)) is not None}
    if not curves:
        return None
    kl = [of_split.kl() for of_split in curves.values()]
    return Records(
        {
            "kl": (("split", "size"), torch.tensor([[e.value for e in row] for row in kl])),
            "standard_error": (("split", "size"), torch.tensor([[e.standard_error for e in row] for row in kl])),
            "num_images": (("split", "size"), torch.tensor([of_split.sizes for of_split in curves.values()])),
        },
        {"split": list(curves)},
    )


def _calibration(replicate: Replicate) -> Records | None:
    """Ranks of the dimension in which they are the least uniform."""
    if not replicate.evaluate.calibration:
        return None
    simulation = uniformity(replicate.held_out)
    lower, upper = simulation.band()
    share = simulation.counts[simulation.worst_dimension] / len(simulation.ranks)
    values = {"share": share, "lower": lower, "upper": upper}
    return Records({name: (("rank",), torch.from_numpy(value)) for name, value in values.items()})


def _padding(replicate: Replicate, padded_dims: Sequence[int]) -> Records | None:
    aggregate = replicate.train.aggregate_of_rows
    if not padded_dims or not aggregate.is_diagonal:
        return None
    few = aggregate.subset(torch.arange(min(PADDING_IMAGES, aggregate.num_components)))
    dims = [aggregate.latent_dim, *(dim for dim in padded_dims if dim > aggregate.latent_dim)]
    padded = inert_padding(few, dims, num_draws=PADDING_DRAWS, generator=replicate.stream("padding"))
    values = {
        "kl": [p.kl.value for p in padded],
        "information": [p.information.value for p in padded],
        "total_variation": [p.total_variation.value for p in padded],
        "shell_thickness": [p.shell_thickness for p in padded],
    }
    variables = {name: (("padded_dim",), torch.tensor(v, dtype=torch.float64)) for name, v in values.items()}
    return Records(variables, {"padded_dim": dims})


def _decoded(sources: Mapping[str, Samples]) -> Records | None:
    if not sources:
        return None
    values = decoded_draws(next(iter(sources.values())).reference)
    return Records(
        {name: (("source", "draw"), torch.stack(list(rows.values()))) for name, rows in values.items()},
        {"source": list(values["distance"])},
    )


def _displacements(sources: Mapping[str, Samples]) -> Records | None:
    """Losses by displaced codes, where they are asked for and the covariance of the codes has its eigenvectors."""
    if not sources:
        return None
    reference = next(iter(sources.values())).reference
    found = displaced(reference, reference.replicate.evaluate.displacements)
    if found is None:
        return None
    values = {name: (("displacement",), torch.tensor(column)) for name, column in found.columns.items()}
    return Records(values, {}, {"direction": ("displacement", found.directions)})


def _pictures(sources: Mapping[str, Samples], num: int) -> Records | None:
    """The first ``num`` images of each source, fewer where one has fewer, and what the source is called."""
    if not sources or not num:
        return None
    num = min(num, *map(len, sources.values()))
    images = torch.stack([samples.images[:num] for samples in sources.values()])
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    return Records(
        {"pixels": (("source", "image", "channel", "height", "width"), pixels)},
        {"source": list(sources)},
        {
            "title": ("source", [samples.title for samples in sources.values()]),
            "formula": ("source", [samples.formula for samples in sources.values()]),
        },
    )
