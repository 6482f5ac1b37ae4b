"""Replicate: one trained VAE with its images, codes and draws, each evaluated when it is first asked for, and once.

Estimates ask a :class:`Split` for what they need: all of them read one pass of the images through the encoder, one set
of evaluation draws, and one evaluation of their densities, so that differences of estimates are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from analysis.aggregate import Aggregate
from analysis.density_fits import Codes
from analysis.draws import (
    ComponentDraws,
    DrawDensities,
    HeldOutDraws,
    evaluate_component_draws,
    evaluate_held_out_draws,
    evaluate_prior_draws,
)
from analysis.randomness import seeded, stream
from models.pure import pure_pyro
from models.vae import VAE
from study.design.cell import Evaluate
from study.measurement import encoding
from study.measurement.classifier import Classifier, FeatureSpace, Unclassifiable
from study.measurement.encoding import aggregate_of, log_likelihood
from study.measurement.images import ImageData
from study.measurement.stored_images import Images


class Observations(Protocol):
    """Observations that a model has codes of, such as images, apart into training and held-out ones."""

    @property
    def images(self) -> Images:
        """Those of the aggregate, ``(N, *image_shape)``."""

    @property
    def labels(self) -> Tensor:
        """Their classes, int64 ``(N,)``."""

    @property
    def held_out_images(self) -> Images:
        """Others, ``(M, *image_shape)``."""

    @property
    def held_out_labels(self) -> Tensor:
        """Their classes, int64 ``(M,)``."""


class Split:
    """Training or held-out images ``(N, *image_shape)`` of a replicate, with codes, draws and densities.

    Args:
        replicate: the trained model and the other split.
        name: ``train`` or ``held_out``.
        images: as the model sees them, binarised.
        grey: the same images on the scale of likelihood means.
        labels: classes, int64 ``(N,)``.
    """

    def __init__(self, replicate: Replicate, name: str, images: Images, grey: Images, labels: Tensor) -> None:
        self.replicate = replicate
        self.name = name
        self.images = images
        self.grey = grey
        self.labels = labels
        self.results: dict[Callable[..., Any], Any] = {}

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def aggregate(self) -> Aggregate:
        """The aggregate posterior of all N images, exact for every kind of posterior."""
        return aggregate_of(self.replicate.vae, self.images)

    @cached_property
    def rows(self) -> Tensor:
        """The images whose codes are in memory, int64: all N where they fit, else a random choice."""
        dim, device = self.aggregate.latent_dim, self.images.device
        if len(self) * dim <= encoding.IN_MEMORY_ELEMENTS:
            return torch.arange(len(self), device=device)
        generator = self.replicate.stream("codes held", self.name)
        order = torch.randperm(len(self), generator=generator, device=generator.device)
        return order[: max(encoding.IN_MEMORY_ELEMENTS // 4 // dim, 2)].to(device)

    @cached_property
    def aggregate_of_rows(self) -> Aggregate:
        """The aggregate of the images ``rows``."""
        return self.aggregate if len(self.rows) == len(self) else self.aggregate.subset(self.rows)

    @cached_property
    def codes(self) -> Codes:
        """Codes of the images ``rows``, with one draw of q(z|x) each."""
        return Codes.draw(self.aggregate_of_rows, self.replicate.stream("codes", self.name))

    @cached_property
    def _order(self) -> Tensor:
        # Of all replicates and models alike, so that what is averaged or compared image by image is of the same images.
        return torch.randperm(len(self), generator=stream(0, "order of images", self.name)).to(self.images.device)

    def chosen(self, num: int) -> Tensor:
        """A random choice of min(num, N) images, int64, of which a larger one contains a smaller one.

        The first images would be no sample of all: data sets come sorted by class, by date, or by size.
        """
        return self._order[:num]

    def codes_of(self, num: int) -> Codes:
        """Codes of a random choice of as many of the images ``rows``, or of all of these."""
        if num >= len(self.rows):
            return self.codes
        held = self._order if len(self.rows) == len(self) else torch.arange(len(self.rows), device=self.rows.device)
        codes, rows = self.codes, held[:num]
        return Codes(codes.loc[rows], codes.scale[rows], codes.z[rows])

    @property
    def z(self) -> Tensor:
        """M evaluation draws ``(M, *latent_shape)`` of q_N."""
        return self._evaluation[0]

    @property
    def component(self) -> Tensor:
        """The image behind each evaluation draw, int64 ``(M,)``."""
        return self._evaluation[1]

    @cached_property
    def draws(self) -> ComponentDraws:
        """Densities of the evaluation draws."""
        logs, without = (part[: len(self.z)] for part in self._logs)
        return evaluate_component_draws(
            self.aggregate, self.replicate.prior, self.z, self.component, logs=(logs, without)
        )

    @cached_property
    def from_prior(self) -> DrawDensities:
        """Densities of the prior's draws under this split's aggregate and under the prior."""
        prior_z = self.replicate.prior_z
        logs = self._logs[0][len(self.z) :][: len(prior_z)]
        return evaluate_prior_draws(self.aggregate, self.replicate.prior, prior_z, log_aggregate=logs)

    @cached_property
    def log_unseen(self) -> Tensor:
        """log q_N (nats) of the held-out draws under this split, which is that of training images, ``(M,)``."""
        return self._logs[0][len(self.z) + len(self.replicate.prior_z) :]

    @cached_property
    def _logs(self) -> tuple[Tensor, Tensor]:
        """log q_N and log q₋ₙ of evaluation draws, draws of the prior, and held-out draws, which are no components.

        One pass over the codes, which may have to be encoded anew for it, serves all draws. What those of the prior and
        of other images leave out of q₋ₙ is of no meaning.
        """
        replicate = self.replicate
        unseen = [replicate.held_out.z] if self is replicate.train else []
        points = torch.cat([self.z, replicate.prior_z, *unseen])
        component = self.component.new_zeros(len(points))
        component[: len(self.z)] = self.component
        return self.aggregate.log_prob_both(points, component)

    @cached_property
    def distortion(self) -> Tensor:
        """−log p(x|z) of the evaluation draws, nats, ``(M,)``."""
        return -log_likelihood(self.replicate.vae, self.images[self.component], self.z)

    @cached_property
    def _evaluation(self) -> tuple[Tensor, Tensor]:
        return self.balanced_draws(self.replicate.evaluate.draws, self.replicate.stream("aggregate draws", self.name))

    def balanced_draws(self, num: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws ``(num, *latent_shape)`` of q_N and the image behind each, int64 ``(num,)``: every image equally often
        up to one, in random order, which ``generator`` gives like the draws themselves."""
        orders = [
            torch.randperm(len(self), generator=generator, device=generator.device)
            for _ in range(math.ceil(num / len(self)))
        ]
        return self.aggregate.sample_per_image(1, generator, torch.cat(orders)[:num])


class Replicate:
    """Both splits of one trained VAE, and the draws of its prior.

    Args:
        vae: in evaluation mode.
        data: the images as measured, binarised.
        grey: the same images on the scale of likelihood means.
        evaluate: what is asked for.
        seed: index of the replicate, which is the whole of the randomness.
        heartbeat: called between steps of what takes long; what it raises ends the measurement.
        features: where images are compared; by default in the features of a classifier of the grey images.
    """

    def __init__(
        self,
        vae: VAE,
        data: Observations,
        grey: Observations,
        evaluate: Evaluate,
        *,
        seed: int,
        heartbeat: Callable[[], None] = lambda: None,
        features: FeatureSpace | None = None,
    ) -> None:
        self._features = features
        self.vae = vae
        self.evaluate = evaluate
        self.seed = seed
        self.heartbeat = heartbeat
        self.train = Split(self, "train", data.images, grey.images, grey.labels)
        self.held_out = Split(self, "held_out", data.held_out_images, grey.held_out_images, grey.held_out_labels)
        self.grey = grey

    def close(self) -> None:
        """Lets go of both splits with all that was evaluated on them.

        They refer to their replicate, so that its gigabytes would otherwise wait for the collector of cycles, which
        counts objects and not bytes: eight replicates at D = 4,096 and N = 12,000 came to 13 GB.
        """
        del self.train, self.held_out

    @property
    def splits(self) -> dict[str, Split]:
        """Training and held-out images, by name."""
        return {split.name: split for split in (self.train, self.held_out)}

    @cached_property
    def prior(self) -> TorchDistribution:
        """p(z)."""
        with torch.no_grad(), pure_pyro():
            return self.vae.prior()

    @cached_property
    def prior_z(self) -> Tensor:
        """M draws ``(M, *latent_shape)`` of the prior."""
        with seeded(self.stream("prior draws")), torch.no_grad():
            return self.prior.sample((self.evaluate.draws,))

    @cached_property
    def unseen(self) -> HeldOutDraws:
        """The held-out draws under the aggregate of the training images."""
        other = self.held_out
        return evaluate_held_out_draws(
            self.train.aggregate,
            other.aggregate,
            self.prior,
            other.z,
            other.component,
            log_aggregate=self.train.log_unseen,
        )

    @cached_property
    def classifier(self) -> Classifier | Unclassifiable:
        """The classifier of the grey images, or why they have none."""
        return self._classifier(0)

    def _classifier(self, seed: int) -> Classifier | Unclassifiable:
        if not isinstance(self.grey, ImageData):
            return Unclassifiable("a classifier needs images; there are none")
        try:
            return Classifier.of(self.grey.to("cpu"), seed).to(self.grey.images.device)
        except Unclassifiable as reason:
            return reason

    @cached_property
    def further_spaces(self) -> tuple[FeatureSpace, ...]:
        """Classifiers of other seeds, as many as are asked for, where :attr:`space` is one."""
        if not isinstance(self.space, Classifier):
            return ()
        others = (self._classifier(seed) for seed in range(1, self.evaluate.classifiers))
        return tuple(other for other in others if isinstance(other, Classifier))

    @property
    def space(self) -> FeatureSpace | Unclassifiable:
        """Feature space in which images are compared, or the reason why they cannot be."""
        return self._features or self.classifier

    @property
    def prior_error(self) -> float:
        """Standard error (nats) of log p(z) that all latents share, where its normaliser is estimated; else 0."""
        return float(getattr(self.prior, "log_prob_standard_error", 0.0))

    def stream(self, *purpose: str | int) -> torch.Generator:
        """This replicate's stream of random numbers for ``purpose``, words, on the device of its images.

        Each estimate has its own, so that none depends on which others are asked for.
        """
        return stream(self.seed, *purpose, device=self.train.images.device)
