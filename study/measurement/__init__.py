"""Measurement: what is estimated of one trained replicate, one family of estimates per file."""

from __future__ import annotations

import torch

from analysis.estimate import Estimate
from analysis.mixtures import select_gaussian_mixture
from analysis.tree import Measured
from models.vae import VAE
from study.cell import Evaluate
from study.classifier import Classifier, Unclassifiable
from study.data import ImageData
from study.measurement import densities, divergences, geometry, likelihood, realism
from study.measurement.replicate import Replicate, encode

__all__ = ["encode", "measure"]


@torch.no_grad()
def measure(vae: VAE, data: ImageData, grey: ImageData, evaluate: Evaluate, *, seed: int) -> Measured:
    """Every estimate of one replicate.

    data: the images as measured, binarised. grey: the same images on the scale of likelihood means.
    seed: the whole of the randomness.
    """
    replicate = Replicate.evaluated(vae, data.images, data.held_out_images, num_draws=evaluate.draws, seed=seed)
    splits = {"train": replicate.train, "held_out": replicate.held_out}
    estimates = {
        name: divergences.estimates(replicate, split) | geometry.estimates(replicate, split)
        for name, split in splits.items()
    }
    estimates["held_out"] |= divergences.held_out_estimates(replicate)
    tables, per_image = {}, {}
    fits, tables["densities"] = densities.fitted(replicate, evaluate.densities)
    if evaluate.importance:
        bounds = likelihood.bounds(replicate, evaluate.importance)
        estimates["held_out"] |= likelihood.estimates(bounds)
        per_image = {f"log_px_{size}": bounds.per_image(size) for size in bounds.sizes}
    if evaluate.samples:
        try:
            classifier = Classifier.of(grey.to("cpu")).to(data.images.device)
        except Unclassifiable as reason:
            estimates["held_out"]["classifier_accuracy"] = Estimate.refused(str(reason))
        else:
            tables["realism"] = realism.estimates(replicate, fits, grey, classifier, evaluate.samples)
            estimates["held_out"]["classifier_accuracy"] = classifier.accuracy
    mixtures = select_gaussian_mixture(
        replicate.train.codes.z.flatten(1),
        replicate.held_out.codes.z.flatten(1),
        evaluate.components,
        evaluate.covariances,
        generator=replicate.generator(8),
    )
    return Measured(
        {
            name: split.draws.integrands() | {"kl_reverse": -split.from_prior.log_ratio, "distortion": split.distortion}
            for name, split in splits.items()
        },
        {
            name: {
                "log_q": split.draws.log_aggregate,
                "log_p": split.draws.log_prior,
                "log_q_given_x": split.draws.log_conditional,
            }
            for name, split in splits.items()
        },
        {name: split.component for name, split in splits.items()},
        {f"certified_{name}": values for name, values in replicate.unseen.integrands().items()},
        estimates,
        mixtures.candidates,
        tables,
        per_image,
    )
