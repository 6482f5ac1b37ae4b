"""Calibration of q(z|x) by simulation, where z is known: ranks of z among draws of q(z|x) (Talts et al. 2018).

Images are simulated from the model, z ~ p(z) and x ~ p(x|z), so that the ranks are uniform in every dimension where
q(z|x) = p(z|x). Uniform ranks do not prove it: a posterior that ignores x and returns the prior has them too.
"""

from __future__ import annotations

import torch

from analysis.calibration import RankUniformity, posterior_ranks
from analysis.estimate import Estimate
from analysis.randomness import seeded
from models.pure import pure_pyro
from study.measurement.encoding import CHUNK, posterior
from study.measurement.estimators import IMAGE_DENSITY, Quantity, estimator, once
from study.measurement.replicate import Split


@once
@torch.no_grad()
def uniformity(split: Split) -> RankUniformity:
    """Ranks of as many simulated latents as are asked for."""
    replicate, evaluate = split.replicate, split.replicate.evaluate
    ranks = []
    with seeded(replicate.stream("calibration")):
        for size in torch.ones(evaluate.calibration).split(CHUNK):
            replicate.heartbeat()
            with pure_pyro():
                z = replicate.prior.sample((len(size),))
                q = posterior(replicate.vae, replicate.vae.likelihood(z).sample())
            ranks.append(posterior_ranks(z, (q.sample((1,)) for _ in range(evaluate.calibration_draws))))
    return RankUniformity(torch.cat(ranks), evaluate.calibration_draws)


@estimator(
    Quantity(
        "calibration_p_value",
        "P(ranks as far from uniform in some dimension), were q(z|x) = p(z|x) (Säilynoja et al. 2022)",
        "upper",
        "exact in each dimension; Bonferroni over the D",
        "`evaluate.calibration` simulated images; no measure of size: see `calibration_deviation`",
    ),
    Quantity(
        "calibration_deviation",
        "sup of the difference of the distribution function of ranks from the uniform one, in the worst dimension",
        "upper",
        limits="O(1/√n) above 0 where q(z|x) = p(z|x)",
    ),
    rows=("held_out",),
    needs=(IMAGE_DENSITY,),
    asked=lambda evaluate: evaluate.calibration > 0,
)
def calibration(split: Split) -> dict[str, Estimate]:
    simulation = uniformity(split)
    num, draws = len(simulation.ranks), simulation.ranks.shape[0] * simulation.num_draws
    p_value = Estimate(simulation.p_value(), 0.0, num, draws, "upper")
    return {"calibration_p_value": p_value, "calibration_deviation": simulation.deviation()}
