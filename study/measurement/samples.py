"""Samples: the images that one source gave, in the feature space of a classifier of the same data set.

Some of the held-out images are where sources start from, and the floor ``held_out`` itself; all the others are the
reference that every source is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from analysis.density_fits import Codes
from analysis.gain import nearest_by_gain
from analysis.geometry.distances import nearest
from analysis.realism.frechet import FeatureMoments
from analysis.realism.manifold import NEIGHBOURS, squared_ball_radii
from analysis.realism.novelty import distance_to_nearest
from study.measurement.classifier import Classifier, FeatureSpace
from study.measurement.encoding import decode
from study.measurement.replicate import Replicate
from study.measurement.sources import LatentSampler, Start, of_density, reference_split, registered, sample_sources
from study.measurement.stored_images import Images, subset
from study.measurement.untrained import UntrainedFeatures

NOVELTY_TRAIN = 10_000
"""Training images among which the nearest is sought."""


class RealFeatures:
    """Features of real images in one space.

    Args:
        space: whose features these are.
        images: real, ``(M, C, H, W)``.
    """

    def __init__(self, space: FeatureSpace, images: Images) -> None:
        self.space = space
        self._images = images
        self._radii: dict[int, Tensor | None] = {}

    @cached_property
    def features(self) -> Tensor:
        """Features ``(M, F)``."""
        return self.space.features(self._images)

    @cached_property
    def moments(self) -> FeatureMoments:
        """Mean and covariance of the features, which every source is compared with."""
        return FeatureMoments(self.features)

    def squared_ball_radii(self, num: int) -> Tensor | None:
        """Those of the balls of the first ``num`` images, computed once for all sources; None of too few images."""
        if num not in self._radii:
            self._radii[num] = squared_ball_radii(self.features[:num]) if num > NEIGHBOURS else None
        return self._radii[num]


class Reference:
    """Real images ``(M, C, H, W)`` that every source is compared with, and what sources start from.

    Args:
        replicate: the model.
        space: whose features distances are taken in.
    """

    def __init__(self, replicate: Replicate, space: FeatureSpace) -> None:
        grey = replicate.grey
        split = reference_split(len(grey.held_out_images), replicate.evaluate.samples)
        reference, self.starts = (rows.to(grey.images.device) for rows in split)
        self.replicate = replicate
        self.images = subset(grey.held_out_images, reference)
        self.own = RealFeatures(space, self.images)
        self.train = grey.images[replicate.train.chosen(NOVELTY_TRAIN)]

    @property
    def space(self) -> FeatureSpace:
        """Whose features images are compared in."""
        return self.own.space

    @property
    def features(self) -> Tensor:
        """Features ``(M, F)`` of the real images."""
        return self.own.features

    @property
    def moments(self) -> FeatureMoments:
        """Mean and covariance of the features, which every source is compared with."""
        return self.own.moments

    @cached_property
    def further(self) -> tuple[RealFeatures, ...]:
        """The real images in the features of classifiers of other seeds."""
        return tuple(RealFeatures(space, self.images) for space in self.replicate.further_spaces)

    @cached_property
    def untrained(self) -> RealFeatures:
        """The real images in the features of a network of random weights."""
        channels, height, width = self.images.shape[1:]
        return RealFeatures(UntrainedFeatures((channels, height, width), self.images.device), self.images)

    @cached_property
    def distances_to_train(self) -> Tensor:
        """Distances ``(M,)`` of the real images to the nearest of the training images ``train``."""
        parts = self.images.split(NOVELTY_TRAIN)
        return torch.cat([distance_to_nearest(part, self.train) for part in parts])

    @cached_property
    def labels(self) -> Tensor:
        """Classes, int64 ``(n,)``, of the held-out images that sources start from."""
        return self.replicate.grey.held_out_labels[self.starts]

    @cached_property
    def start(self) -> Start:
        """As many draws of the aggregate as are asked for, and one of q(z|x) for each held-out image."""
        replicate = self.replicate
        return Start(
            replicate.vae,
            replicate.train.balanced_draws(replicate.evaluate.samples, replicate.stream("sources", "train"))[0],
            Codes.draw(replicate.held_out.aggregate.subset(self.starts), replicate.stream("sources", "held_out")),
            replicate.grey.held_out_images[self.starts],
            replicate.seed,
            replicate.train.aggregate,
        )

    @property
    def codes(self) -> Codes:
        """Codes of the held-out images that sources start from."""
        return self.start.held_out


@dataclass(frozen=True, eq=False)
class Samples:
    """The images that one source gave, with the real images beside them.

    name: of the source.
    title, formula: what it is called, and where its latents come from.
    images: ``(n, C, H, W)``, likelihood means on the scale of [0, 1].
    reference: the real images that it is compared with.
    results: what :func:`study.measurement.estimators.once` has computed of it, by function.
    """

    name: str
    title: str
    formula: str
    images: Tensor
    reference: Reference
    results: dict[Callable[..., Any], Any]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def replicate(self) -> Replicate:
        """The model."""
        return self.reference.replicate

    @property
    def paired(self) -> int:
        """Images of each side, where as many of both are compared."""
        return min(len(self), len(self.reference.images))

    @cached_property
    def features(self) -> Tensor:
        """Features ``(n, F)``."""
        return self.reference.space.features(self.images)

    @cached_property
    def by_network(self) -> tuple[tuple[Tensor, RealFeatures], ...]:
        """Features ``(n, F)``, and those of the real images, in the classifiers of all seeds, these features first."""
        others = ((real.space.features(self.images), real) for real in self.reference.further)
        return (self.features, self.reference.own), *others

    @property
    def classifier(self) -> Classifier:
        """The classifier that has these features; TypeError where features are another's."""
        if not isinstance(self.reference.space, Classifier):
            raise TypeError("these features are no classifier's; declare the need CLASSES")
        return self.reference.space

    @cached_property
    def probabilities(self) -> Tensor:
        """Class probabilities ``(n, classes)``."""
        return self.classifier.class_probabilities(self.features)


def samples(reference: Reference, densities: Mapping[str, LatentSampler]) -> dict[str, Samples]:
    """The samples of every source that the model has and the settings do not leave out, and of every fitted density.

    Args:
        reference: the model, the real images, and what sources start from.
        densities: fitted to codes, by the name under which each is a source.

    Raises:
        ValueError: if a density has a source's name.
    """
    sources = registered() | {name: of_density(name, density) for name, density in densities.items()}
    images = sample_sources(reference.start, densities, reference.replicate.evaluate.omit)
    return {
        name: Samples(name, sources[name].title, sources[name].formula, images[name], reference, {})
        for name in sources
        if name in images
    }


CENTRES = 4
"""Nearest codes of a draw, among which the one is sought towards which the image moves least."""


def decoded_draws(reference: Reference) -> dict[str, dict[str, Tensor]]:
    """Draws one by one, ``(n,)``, by name and source: log q_N − log p (nats); the distance of the decoded image to the
    nearest real one in feature space; and, where gains are measured, ``gain_distance``, ‖J(z) (μ − z)‖ to the nearest
    training code μ so weighted, among the CENTRES that are nearest without weights."""
    replicate, num = reference.replicate, len(reference.starts)
    latents = {"prior": replicate.prior_z[:num], "aggregate_train": replicate.train.z[:num]}
    ratios = {"prior": replicate.train.from_prior.log_ratio, "aggregate_train": replicate.train.draws.log_ratio}
    distances = {
        name: nearest(reference.space.features(decode(replicate.vae, z)), reference.features)[0][:, 0]
        for name, z in latents.items()
    }
    values = {"log_ratio": {name: ratio[:num] for name, ratio in ratios.items()}, "distance": distances}
    if "gain" not in replicate.evaluate.omit:
        values["gain_distance"] = {name: _gain_distance(replicate, z) for name, z in latents.items()}
    return values


def _gain_distance(replicate: Replicate, z: Tensor) -> Tensor:
    codes = replicate.train.codes.loc
    _, index = nearest(z, codes, min(CENTRES, len(codes)))
    return nearest_by_gain(lambda latents: decode(replicate.vae, latents), z, codes[index])
