"""Needs: what estimators may ask of posterior and prior."""

from __future__ import annotations

from torch.distributions import Independent, Normal

from analysis.aggregate import NOT_DIAGONAL
from study.measurement.classifier import Classifier
from study.measurement.estimators._base import Need, Subject
from study.measurement.replicate import Split
from study.measurement.samples import Samples


def _factorised(split: Split) -> bool:
    prior = split.replicate.prior
    return isinstance(prior, Independent) and isinstance(prior.base_dist, Normal)


def _real(split: Split) -> bool:
    return bool(split.replicate.vae.prior.support == "real")


def _decoded(subject: Subject) -> bool:
    return subject.replicate.vae.likelihood.gives != "nothing"


def _scored(subject: Subject) -> bool:
    return subject.replicate.vae.likelihood.gives == "density"


def _classified(samples: Samples) -> bool:
    return isinstance(samples.reference.space, Classifier)


DIAGONAL_POSTERIOR = Need(NOT_DIAGONAL, lambda split: split.aggregate.is_diagonal)
FACTORISED_PRIOR = Need("defined for a factorised normal prior", _factorised)
REAL_LATENTS = Need("defined for latents in all of the real space", _real)
DECODER = Need("defined where there is a decoder", _decoded)
IMAGE_DENSITY = Need("defined where the decoder gives a density of images", _scored)
CLASSES = Need("defined in the features of a classifier, which images with labels have", _classified)
