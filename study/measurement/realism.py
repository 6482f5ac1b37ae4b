"""Realism of samples from each source, in the feature space of a classifier of the data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.density_fits import FittedDensity
from analysis.estimate import Estimate
from analysis.geometry.distances import nearest
from analysis.geometry.margins import label_flip_rate
from analysis.realism.frechet import squared_frechet
from analysis.realism.kernel_distance import squared_kernel_distance
from analysis.realism.labels import class_entropy, confidence, label_agreement, sample_entropy
from analysis.realism.manifold import manifold
from analysis.realism.novelty import novelty
from study.images import ImageData
from study.measurement.classifier import Classifier
from study.measurement.replicate import Replicate, aggregate_of, codes_of
from study.measurement.sources import decode, local_sample, reference_split, sample_sources

NOISE_SCALES = (0.5, 1.0, 2.0, 4.0)
"""Scales s of decode(μ(x) + s ε) at which label agreement is measured."""
NOVELTY_TRAIN = 10_000
"""Training images among which the nearest is sought."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Estimates by source, then by quantity; the decoded ``images`` of each source; and of draws of the prior and of
    the training aggregate their ``log_ratio`` log q_N − log p (nats) and the ``distance`` of their images to the
    nearest real one in feature space, by source."""

    table: dict[str, dict[str, Estimate]]
    images: dict[str, Tensor]
    log_ratio: dict[str, Tensor]
    distance: dict[str, Tensor]


def judged(
    replicate: Replicate,
    densities: Mapping[str, FittedDensity],
    grey: ImageData,
    classifier: Classifier,
    num_samples: int,
) -> Judged:
    """Realism of every source; ``grey`` holds the images on the scale of likelihood means.

    Half of the held-out images are the reference that every source is compared with; the other half are where the
    sources start from, and the floor ``held_out`` itself.
    """
    reference, starts = (rows.to(grey.images.device) for rows in reference_split(len(grey.held_out_images)))
    num = min(num_samples, len(starts), len(grey.images))
    vae, starts = replicate.vae, starts[:num]
    order = torch.randperm(
        len(grey.images), generator=replicate.stream("realism", "training images"), device=grey.images.device
    )
    seen = aggregate_of(vae, replicate.train.images[order[:num]])
    unseen = aggregate_of(vae, replicate.held_out.images[starts])
    train, _ = seen.sample_per_image(1, replicate.stream("realism", "training codes"))
    codes = codes_of(unseen, replicate.stream("realism", "held-out codes"))
    images = sample_sources(vae, train, codes, grey.held_out_images[starts], densities, seed=replicate.seed)
    real = grey.held_out_images[reference]
    real_features = classifier.features(real)
    nearby = grey.images[:NOVELTY_TRAIN]
    table = {
        name: _source(decoded, real, real_features, nearby, classifier, replicate.stream("Fréchet bootstrap"))
        for name, decoded in images.items()
    }
    table["local"] |= _label_agreement(replicate, codes.loc, grey.held_out_labels[starts], classifier)
    latents = {"prior": replicate.prior_z[:num], "aggregate_train": replicate.train.z[:num]}
    ratios = {"prior": replicate.train.from_prior.log_ratio, "aggregate_train": replicate.train.draws.log_ratio}
    distance = {
        name: nearest(classifier.features(decode(vae, z)), real_features)[0][:, 0] for name, z in latents.items()
    }
    return Judged(table, images, {name: ratio[:num] for name, ratio in ratios.items()}, distance)


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
    closeness = novelty(images.flatten(1), real.flatten(1), train.flatten(1))
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
        "novelty_ratio": closeness.ratio,
    }


def _label_agreement(replicate: Replicate, loc: Tensor, labels: Tensor, classifier: Classifier) -> dict[str, Estimate]:
    """Share of decode(μ(x) + s ε) that the classifier gives the label of x, by s, and the share of μ(x) + s ε whose
    nearest centre has another label, which the margins predict."""
    agreement = {}
    for scale in NOISE_SCALES:
        images, own = local_sample(replicate.vae, loc, scale, 1, replicate.stream("label agreement", f"{scale:g}"))
        agreement[f"label_agreement_{scale:g}"] = label_agreement(classifier.probabilities(images), labels[own], own)
        generator = replicate.stream("predicted flips", f"{scale:g}")
        agreement[f"predicted_flips_{scale:g}"] = label_flip_rate(loc, labels, scale, 1, generator)
    return agreement
