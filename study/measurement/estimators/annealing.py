"""Annealed importance sampling of log p(x): chains from q(z|x) to p(x, z), of held-out and of simulated images.

Chains of held-out images bound log p(x) from below, the closer the more temperatures. Of images that the model itself
simulated, an exact draw of p(z|x) is known, the latent they came from: chains back from it bound log p(x) from above,
and the gap of the two ends says how far the annealing is from log p(x) (Grosse, Ghahramani & Adams 2015). Decoder and
densities are evaluated in float64, since a chain's acceptance rests on small differences of them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from pyro.distributions import TorchDistribution
from torch import Generator, Tensor

from analysis.estimate import Estimate
from analysis.likelihood.annealing import AnnealedEvidence, AnnealingPath, Sandwich, sandwich, sigmoid_schedule
from analysis.precision import to_float64
from analysis.randomness import seeded
from models.pure import pure_pyro
from study.measurement.encoding import posterior
from study.measurement.estimators import IMAGE_DENSITY, REAL_LATENTS, Quantity, Refused, estimator
from study.measurement.replicate import Replicate, Split

IMAGES = 50
"""Images whose chains run at a time."""


class _Annealing(NamedTuple):
    """The path of some images, and the start of its chains ``(C, B, *latent_shape)``."""

    path: AnnealingPath
    start: Tensor

    @classmethod
    def of(cls, replicate: Replicate, images: Tensor, generator: Generator) -> _Annealing:
        """Tuned on pilot chains of their own; ``images`` are ``(B, *image_shape)``."""
        evaluate = replicate.evaluate
        q = to_float64(posterior(replicate.vae, images))
        with seeded(generator):
            pilot, start = q.sample((2, evaluate.annealing_chains))
        schedule = sigmoid_schedule(evaluate.annealing_temperatures)
        log_joint = _log_joint(replicate, images)
        return cls(AnnealingPath.tuned(q.log_prob, log_joint, pilot, schedule, generator), start)


def _log_joint(replicate: Replicate, images: Tensor) -> Callable[[Tensor], Tensor]:
    """log p(x, z), float64 ``(C, B)``, differentiable in the latents ``(C, B, *latent_shape)`` it is given."""
    likelihood = copy.deepcopy(replicate.vae.likelihood).double().requires_grad_(False)
    prior: TorchDistribution = to_float64(replicate.prior)
    observed = images.double()

    def log_joint(z: Tensor) -> Tensor:
        replicate.heartbeat()
        latents = z.flatten(0, 1)
        repeated = observed.expand(len(z), *observed.shape).flatten(0, 1)
        with pure_pyro():
            total = prior.log_prob(latents) + likelihood(latents).log_prob(repeated)
        return total.unflatten(0, z.shape[:2])

    return log_joint


def _require_gradient(replicate: Replicate) -> None:
    with torch.enable_grad():
        z = replicate.prior_z[:1].double().requires_grad_()
        if not to_float64(replicate.prior).log_prob(z).requires_grad:
            raise Refused("the prior's log-density has no gradient, which annealed chains follow")


@estimator(
    Quantity(
        "log_px_annealed",
        "E log of the mean weight of annealed chains, held-out images",
        "lower",
        "lower end of log p(x), closer with more temperatures",
        "`evaluate.annealing` of the images of `log_px`",
        of_prior=True,
    ),
    Quantity(
        "annealing_acceptance",
        "share of transitions that these chains accepted",
        limits="a low one loosens the bound and never breaks it",
    ),
    needs=(REAL_LATENTS, IMAGE_DENSITY),
    rows=("held_out",),
    asked=lambda evaluate: evaluate.annealing > 0,
)
def annealed(split: Split) -> dict[str, Estimate]:
    replicate = split.replicate
    _require_gradient(replicate)
    generator = replicate.stream("annealing", "held-out images")
    parts = []
    for images in split.images[split.chosen(replicate.evaluate.annealing)].split(IMAGES):
        run = _Annealing.of(replicate, images, generator)
        parts.append(run.path.forward(run.start, generator))
    evidence = _joined(parts)
    return {"log_px_annealed": evidence.estimate(), "annealing_acceptance": Estimate.mean(evidence.acceptance)}


@estimator(
    Quantity(
        "log_px_annealed_gap",
        "upper − lower end of log p(x) by annealing up and down, simulated images",
        limits="at least the expected error of either end; of simulated images, which may be easier than real ones",
    ),
    needs=(REAL_LATENTS, IMAGE_DENSITY),
    rows=("held_out",),
    asked=lambda evaluate: evaluate.annealing > 0,
)
def annealed_gap(split: Split) -> Estimate:
    replicate = split.replicate
    _require_gradient(replicate)
    generator = replicate.stream("annealing", "simulated images")
    lower, upper = [], []
    for rows in torch.arange(replicate.evaluate.annealing).split(IMAGES):
        with seeded(generator), pure_pyro(), torch.no_grad():
            z = replicate.prior.sample((len(rows),))
            images = replicate.vae.likelihood(z).sample()
        run = _Annealing.of(replicate, images, generator)
        ends = sandwich(run.path, run.start, z.double().expand_as(run.start), generator)
        lower.append(ends.lower)
        upper.append(ends.upper)
    return Sandwich(_joined(lower), _joined(upper)).gap()


def _joined(parts: list[AnnealedEvidence]) -> AnnealedEvidence:
    """The evidence of all images, from that of some at a time."""
    values, acceptance = (torch.cat([getattr(p, name) for p in parts], -1) for name in ("log_evidence", "acceptance"))
    return AnnealedEvidence(values, acceptance, parts[0].bound)
