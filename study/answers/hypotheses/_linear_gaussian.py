"""Trial: one repetition of the linear-Gaussian VAE whose aggregate posterior is disjoint from its prior.

See the module docstring of :mod:`study.answers.hypotheses.h4_disjointness`. As a program it writes the table of the
repetitions that this hypothesis reads; computing them takes Pyro and scikit-learn, for which no reader waits.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import torch

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.divergence import total_variation
from analysis.draws import evaluate_component_draws, evaluate_prior_draws
from analysis.randomness import stream
from analysis.two_sample import median_bandwidth, squared_mmd
from models.linear import LinearGaussianVAE
from study.answers.hypotheses.h4_disjointness import IMAGES, LATENT_DIM, REPETITIONS, TRIALS

PIXELS, GAIN, NOISE, SAMPLES = 64, 2.0, 0.1, 1_000
FAULT = 1.2
"""Factor on the latents of the known fault."""


class Trial(NamedTuple):
    """One repetition.

    total_variation: TV(q_N, p).
    population_kl: the exact KL(q_∞ ‖ p), nats.
    rate: the exact rate, nats.
    samples: squared maximum mean discrepancy of samples of the model to data.
    fault: the same of samples with the known fault.
    """

    total_variation: float
    population_kl: float
    rate: float
    samples: float
    fault: float


@torch.no_grad()
def trial(seed: int, *, latent_dim: int, images: int) -> Trial:
    """One repetition.

    Args:
        seed: the whole of its randomness.
        latent_dim: D.
        images: N of q_N.
    """
    vae = LinearGaussianVAE.random(latent_dim, PIXELS, gain=GAIN, noise=NOISE, generator=stream(seed, "H4", "model"))
    generator = stream(seed, "H4", "draws")
    posterior = vae.posterior(vae.simulate(images, stream(seed, "H4", "images"))).base_dist
    aggregate = DiagonalAggregate(InMemoryCodes(posterior.loc, posterior.scale))
    z, component = aggregate.sample_per_image(2, generator)
    prior_z = torch.randn(SAMPLES, latent_dim, generator=generator, dtype=z.dtype)
    distance = total_variation(
        evaluate_component_draws(aggregate, vae.prior(), z, component),
        evaluate_prior_draws(aggregate, vae.prior(), prior_z),
    )
    data = vae.simulate(SAMPLES, stream(seed, "H4", "data"))
    noise = NOISE * torch.randn(data.shape, generator=generator, dtype=data.dtype)
    bandwidth = median_bandwidth(data, data)
    samples, fault = (
        squared_mmd(vae.likelihood(scale * prior_z).mean + noise, data, bandwidth).value for scale in (1.0, FAULT)
    )
    exact = vae.exact()
    return Trial(distance.value, float(exact.marginal_kl), float(exact.rate), samples, fault)


def trials() -> pd.DataFrame:
    """One line for each repetition of the hypothesis."""
    return pd.DataFrame([trial(seed, latent_dim=LATENT_DIM, images=IMAGES) for seed in range(REPETITIONS)])


if __name__ == "__main__":
    trials().to_csv(TRIALS, index=False)
