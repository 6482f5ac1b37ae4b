"""Records: arrays of single draws and images that are kept beside the estimates, for figures and regressions.

Each is a group of the result's tree (see :mod:`analysis.tree`): variables by name, with their dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.geometry.overlap import log_bhattacharyya, unit_total_variation
from analysis.information import kl_standard_normal
from analysis.padding import inert_padding
from analysis.subsampling import SubsamplingCurve
from analysis.tree import Records
from study.measurement.replicate import Replicate, Split

CODES = 1_000
"""Training images whose bubbles are kept one by one."""
RANKS = 512
PADDING_IMAGES, PADDING_DRAWS = 200, 100


def records(
    replicate: Replicate,
    curves: Mapping[str, SubsamplingCurve | None],
    eigenvalues: Tensor | Estimate,
    pictures: Mapping[str, Tensor],
    judged: Mapping[str, Mapping[str, Tensor]],
    padded_dims: Sequence[int],
) -> dict[str, Records]:
    """Groups by name; those that this replicate has nothing for are absent.

    eigenvalues: those of the training aggregate, or why there are none. pictures: decoded images ``(n, C, H, W)`` in
    [0, 1] by source. judged: per-draw values by name, then by source.
    """
    groups = {
        "prior_draws": _prior_draws(replicate),
        "shells": _shells(replicate),
        "codes": _codes(replicate.train),
        "spectrum": _spectrum(eigenvalues),
        "subsampling": _subsampling(curves),
        "padding": _padding(replicate, padded_dims),
        "decoded": _by_source(judged, ("source", "draw")),
        "samples": _pictures(pictures),
    }
    return {name: group for name, group in groups.items() if group is not None}


def _prior_draws(replicate: Replicate) -> Records:
    splits = {"train": replicate.train.from_prior, "held_out": replicate.held_out.from_prior}
    return Records(
        {
            "log_q": (("draw", "split"), torch.stack([d.log_aggregate for d in splits.values()], -1)),
            "log_p": (("draw", "split"), torch.stack([d.log_prior for d in splits.values()], -1)),
        },
        {"split": list(splits)},
    )


def _shells(replicate: Replicate) -> Records:
    draws = {"aggregate_norm": replicate.train.z, "prior_norm": replicate.prior_z}
    return Records({name: (("draw",), z.flatten(1).double().norm(dim=1)) for name, z in draws.items()})


def _codes(split: Split) -> Records | None:
    if not split.aggregate.is_diagonal:
        return None
    loc, scale = split.codes.loc[:CODES], split.codes.scale[:CODES]
    values = {
        "mean_norm": loc.flatten(1).double().norm(dim=1),
        "kl_standard": kl_standard_normal(loc, scale).flatten(1).sum(1),
        "log_bhattacharyya": log_bhattacharyya(loc, scale),
        "unit_total_variation": unit_total_variation(loc),
    }
    return Records({name: (("code",), value) for name, value in values.items()})


def _spectrum(eigenvalues: Tensor | Estimate) -> Records | None:
    return Records({"eigenvalue": (("rank",), eigenvalues[:RANKS])}) if isinstance(eigenvalues, Tensor) else None


def _subsampling(curves: Mapping[str, SubsamplingCurve | None]) -> Records | None:
    found = {split: curve for split, curve in curves.items() if curve is not None}
    if not found:
        return None
    kl = [curve.kl() for curve in found.values()]
    return Records(
        {
            "kl": (("split", "size"), torch.tensor([[e.value for e in row] for row in kl])),
            "standard_error": (("split", "size"), torch.tensor([[e.standard_error for e in row] for row in kl])),
            "num_images": (("split", "size"), torch.tensor([curve.sizes for curve in found.values()])),
        },
        {"split": list(found)},
    )


def _padding(replicate: Replicate, padded_dims: Sequence[int]) -> Records | None:
    aggregate = replicate.train.held
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


def _by_source(values: Mapping[str, Mapping[str, Tensor]], dims: tuple[str, ...]) -> Records | None:
    if not values:
        return None
    sources = list(next(iter(values.values())))
    variables = {name: (dims, torch.stack([rows[source] for source in sources])) for name, rows in values.items()}
    return Records(variables, {"source": sources})


def _pictures(pictures: Mapping[str, Tensor]) -> Records | None:
    dims = ("source", "image", "channel", "height", "width")
    scaled = {name: (images.clamp(0, 1) * 255).round().to(torch.uint8) for name, images in pictures.items()}
    return _by_source({"pixels": scaled} if scaled else {}, dims)
