"""Measurement: what is estimated of one trained replicate, one family of estimates per file."""

from __future__ import annotations

import torch

from analysis.estimate import Estimate
from analysis.mixtures import select_gaussian_mixture
from analysis.tree import Measured
from models.vae import VAE
from study.design.cell import Evaluate
from study.images import ImageData
from study.measurement import densities, divergences, geometry, likelihood, realism, reconstruction
from study.measurement.classifier import Classifier, Unclassifiable
from study.measurement.records import records
from study.measurement.replicate import Replicate, encode

__all__ = ["encode", "measure"]

PRIOR_DENSITY = {
    *("rate", "elbo", "kl", "kl_upper", "kl_lower", "kl_reverse", "kl_at_10_n", "kl_certified_aggregate", "log_px"),
    "certified_gap",
}
"""Estimates that are expectations of log p(z) and other terms."""


@torch.no_grad()
def measure(vae: VAE, data: ImageData, grey: ImageData, evaluate: Evaluate, *, seed: int) -> Measured:
    """Every estimate of one replicate.

    data: the images as measured, binarised. grey: the same images on the scale of likelihood means.
    seed: index of the replicate, which is the whole of the randomness.
    """
    replicate = Replicate.evaluated(vae, data.images, data.held_out_images, num_draws=evaluate.draws, seed=seed)
    splits = {"train": replicate.train, "held_out": replicate.held_out}
    curves = {name: divergences.subsampled(replicate, split) for name, split in splits.items()}
    spectra = {name: geometry.spectrum(split) for name, split in splits.items()}
    errors = reconstruction.estimates(replicate, grey)
    estimates = {
        name: divergences.estimates(replicate, split, curves[name])
        | geometry.estimates(replicate, split, spectra[name])
        | errors[name]
        for name, split in splits.items()
    }
    estimates["held_out"] |= divergences.held_out_estimates(replicate)
    tables, per_image, pictures, judged = {}, {}, {}, {}
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
            seen = realism.judged(replicate, fits, grey, classifier, evaluate.samples)
            tables["realism"] = seen.table
            pictures = {name: images[: evaluate.pictures] for name, images in seen.images.items()}
            judged = {"log_ratio": seen.log_ratio, "distance": seen.distance}
            estimates["held_out"]["classifier_accuracy"] = classifier.accuracy
    for rows in (estimates, tables["densities"]):
        rows |= {name: _with_prior_error(table, replicate.prior_error) for name, table in rows.items()}
    mixtures = select_gaussian_mixture(
        replicate.train.codes.z.flatten(1),
        replicate.held_out.codes.z.flatten(1),
        evaluate.components,
        evaluate.covariances,
        generator=replicate.stream("mixtures"),
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
        records(replicate, curves, spectra["train"], pictures, judged, evaluate.padding),
    )


def _with_prior_error(table: dict[str, Estimate], error: float) -> dict[str, Estimate]:
    """The table with the error of an estimated normaliser of p in every expectation of log p.

    Slopes in log N are differences, in which it cancels, and quantities in [0, 1] move by less.
    """
    return {
        name: estimate.with_shared_error(error, "normaliser of the prior estimated")
        if name in PRIOR_DENSITY or name.removeprefix("log_px_").isdigit()
        else estimate
        for name, estimate in table.items()
    }
