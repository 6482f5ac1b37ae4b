"""Refinement of single codes: whether the mean of the codes, and nats of the ELBO, are errors of amortisation.

μ and σ of some training images are raised to the optimum of their own ELBO, with all networks as they are
(:mod:`analysis.refinement`). An offset ‖E μ‖² that stays is what decoder and prior ask for; one that goes was the
encoder's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from analysis.estimate import Estimate
from analysis.refinement import compare, refine
from models.pure import pure_pyro
from study.measurement.encoding import encode
from study.measurement.estimators import Quantity, Refused, estimator
from study.measurement.estimators._needs import DIAGONAL_POSTERIOR, REAL_LATENTS
from study.measurement.replicate import Split

STEPS, LEARNING_RATE = 200, 0.03
"""Steps and learning rate of Adam, which move a number of a code by up to three of its own σ."""
DRAWS = 8
"""Draws of each image by which the ELBO before and after is compared."""
LEAST = 3
"""Images, fewer than which have no jackknife over pairs."""


@estimator(
    Quantity("offset", "‖E μ(x)‖²", limits="of `evaluate.refinement` images"),
    Quantity("offset_refined", "‖E μ̃(x)‖², μ̃ the mean of the refined q(z|x)", limits="of a search of finite length"),
    Quantity(
        "amortisation_gap",
        "E[ELBO(x; μ̃, σ̃) − ELBO(x; μ(x), σ(x))]",
        "lower",
        limits="of diagonal normals; a search of finite length",
        of_prior=False,
    ),
    Quantity("rate_refined", "E KL(N(μ̃, diag σ̃²) ‖ p)", limits="of a search of finite length", of_prior=True),
    Quantity("rate_change", "the same less E KL(q(z|x) ‖ p)"),
    needs=(DIAGONAL_POSTERIOR, REAL_LATENTS),
    rows=("train",),
    asked=lambda evaluate: evaluate.refinement > 0,
)
def refined(split: Split) -> dict[str, Estimate]:
    replicate = split.replicate
    images = split.images[split.chosen(replicate.evaluate.refinement)]
    if len(images) < LEAST:
        raise Refused(f"needs {LEAST} images or more", n=len(images))
    observed = images if images.is_floating_point() else images.float()

    def log_likelihood(z: Tensor) -> Tensor:
        replicate.heartbeat()
        with pure_pyro():
            return replicate.vae.likelihood(z).log_prob(observed)

    before = encode(replicate.vae, images)
    generator = replicate.stream("refinement")
    with torch.enable_grad():
        if not replicate.prior.log_prob(before[0].clone().requires_grad_()).requires_grad:
            raise Refused("the prior's log-density has no gradient, which the search follows")
    after = refine(
        log_likelihood, replicate.prior, *before, steps=STEPS, learning_rate=LEARNING_RATE, generator=generator
    )
    return compare(log_likelihood, replicate.prior, before, after, draws=DRAWS, generator=generator)
