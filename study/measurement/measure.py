"""Measure: every estimate of one replicate that the settings ask for, from the estimators that there are."""

from __future__ import annotations

from collections.abc import Callable

import torch

from analysis.density_fits import FittedDensity
from analysis.mixtures import MixtureSelection, select_gaussian_mixture
from analysis.tree import Measured
from models.vae import VAE
from study.design.cell import Evaluate
from study.images import ImageData
from study.measurement.classifier import Classifier
from study.measurement.densities import Fitted, fitted
from study.measurement.estimators import estimates
from study.measurement.records import records
from study.measurement.replicate import Replicate
from study.measurement.samples import Reference, Samples, samples


@torch.no_grad()
def measure(
    vae: VAE,
    data: ImageData,
    grey: ImageData,
    evaluate: Evaluate,
    *,
    seed: int,
    heartbeat: Callable[[], None] = lambda: None,
) -> Measured:
    """Every estimate of one replicate.

    Args:
        vae: trained, in evaluation mode.
        data: the images as measured, binarised.
        grey: the same images on the scale of likelihood means.
        evaluate: what is asked for.
        seed: index of the replicate, which is the whole of the randomness.
        heartbeat: called between estimates and within long ones; what it raises ends the measurement.
    """
    replicate = Replicate(vae, data, grey, evaluate, seed=seed, heartbeat=heartbeat)
    densities = fitted(replicate)
    sources = _sources(replicate, densities)
    tables = {
        "aggregate": {name: estimates("aggregate", split) for name, split in replicate.splits.items()},
        "realism": {name: estimates("realism", source) for name, source in sources.items()},
        "densities": {name: estimates("densities", density) for name, density in densities.items()},
    }
    return Measured(
        tables={name: rows for name, rows in tables.items() if rows},
        mixtures=_mixtures(replicate).candidates,
        records=records(replicate, sources),
    )


def _sources(replicate: Replicate, densities: dict[str, Fitted]) -> dict[str, Samples]:
    """The samples of every source, where they are asked for and there are classes to judge them by."""
    if not replicate.evaluate.samples or not isinstance(replicate.classifier, Classifier):
        return {}
    fits = {name: each.fit for name, each in densities.items() if isinstance(each.fit, FittedDensity)}
    return samples(Reference(replicate, replicate.classifier), fits)


def _mixtures(replicate: Replicate) -> MixtureSelection:
    evaluate = replicate.evaluate
    return select_gaussian_mixture(
        replicate.train.codes.z.flatten(1),
        replicate.held_out.codes.z.flatten(1),
        evaluate.components,
        evaluate.covariances,
        generator=replicate.stream("mixtures"),
        rank=evaluate.rank,
    )
