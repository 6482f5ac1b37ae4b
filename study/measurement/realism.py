"""Realism of samples from each source, in the feature space of a classifier of the data set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from analysis.density_fits import FittedDensity
from analysis.estimate import Estimate
from analysis.geometry.margins import label_flip_rate
from analysis.realism.frechet import squared_frechet
from analysis.realism.kernel_distance import squared_kernel_distance
from analysis.realism.labels import class_entropy, confidence, label_agreement, sample_entropy
from analysis.realism.manifold import manifold
from analysis.realism.novelty import novelty
from study.classifier import Classifier
from study.data import ImageData
from study.measurement.replicate import Replicate
from study.sources import Codes, local_sample, reference_split, sample_sources

NOISE_SCALES = (0.5, 1.0, 2.0, 4.0)
"""Scales s of decode(μ(x) + s ε) at which label agreement is measured."""
NOVELTY_TRAIN = 10_000
"""Training images among which the nearest is sought."""


def estimates(
    replicate: Replicate,
    densities: Mapping[str, FittedDensity],
    grey: ImageData,
    classifier: Classifier,
    num_samples: int,
) -> dict[str, dict[str, Estimate]]:
    """Estimates by source, then by quantity; ``grey`` holds the images on the scale of likelihood means.

    Half of the held-out images are the reference that every source is compared with; the other half are where the
    sources start from, and the floor ``held_out`` itself.
    """
    reference, starts = (rows.to(grey.images.device) for rows in reference_split(len(grey.held_out_images)))
    num = min(num_samples, len(starts), len(grey.images))
    codes = replicate.held_out.codes
    sources = sample_sources(
        replicate.vae,
        Codes(replicate.train.codes.loc, replicate.train.codes.scale),
        Codes(codes.loc[starts], codes.scale[starts]),
        grey.held_out_images[starts],
        densities,
        num=num,
        seed=replicate.seed,
    )
    real = grey.held_out_images[reference]
    real_features = classifier.features(real)
    train = grey.images[:NOVELTY_TRAIN]
    table = {
        name: _source(images, real, real_features, train, classifier, replicate.generator(3))
        for name, images in sources.items()
    }
    labels = grey.held_out_labels[starts][:num]
    table["local"] |= _label_agreement(replicate, codes.loc[starts][:num], labels, classifier)
    return table


def _source(
    images: Tensor,
    real: Tensor,
    real_features: Tensor,
    train: Tensor,
    classifier: Classifier,
    generator: torch.Generator,
) -> dict[str, Estimate]:
    features, probabilities = classifier.features(images), classifier.probabilities(images)
    num = min(len(features), len(real_features))
    overlap = manifold(features[:num], real_features[:num])
    nearest = novelty(images.flatten(1), real.flatten(1), train.flatten(1))
    return {
        "squared_frechet": squared_frechet(features, real_features, generator),
        "squared_kernel_distance": squared_kernel_distance(features[:num], real_features[:num]),
        "precision": overlap.precision,
        "recall": overlap.recall,
        "density": overlap.density,
        "coverage": overlap.coverage,
        "class_entropy": class_entropy(probabilities),
        "sample_entropy": sample_entropy(probabilities),
        "confidence": confidence(probabilities),
        "novelty_ratio": nearest.ratio,
    }


def _label_agreement(replicate: Replicate, loc: Tensor, labels: Tensor, classifier: Classifier) -> dict[str, Estimate]:
    """Share of decode(μ(x) + s ε) that the classifier gives the label of x, by s, and the share of μ(x) + s ε whose
    nearest centre has another label, which the margins predict."""
    agreement = {}
    for index, scale in enumerate(NOISE_SCALES):
        images, own = local_sample(replicate.vae, loc, scale, 1, replicate.generator(4 + index))
        agreement[f"label_agreement_{scale:g}"] = label_agreement(classifier.probabilities(images), labels[own], own)
        generator = replicate.generator(10 + index)
        agreement[f"predicted_flips_{scale:g}"] = label_flip_rate(loc, labels, scale, 1, generator)
    return agreement
