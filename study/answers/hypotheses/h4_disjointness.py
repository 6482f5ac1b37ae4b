r"""H4: an aggregate posterior disjoint from the prior need not mean bad samples.

A linear-Gaussian VAE (:mod:`models.linear`) with its exact posterior, on N images drawn from the model itself: the
population's aggregate posterior is the prior at any rate, and decoded draws of the prior have the law of the data. The
mixture q_N over the N images is, at a rate far above log N, disjoint from the prior all the same. Computed anew from
independent repetitions, whatever the results at hand.

Rule, before any run: premises are a total variation TV(q_N, p) above 0.99 and KL(q_∞ ‖ p) below 1e-6 nats. The effect
is the squared maximum mean discrepancy (Gaussian kernel, median bandwidth) between 1,000 decoded draws of the prior and
1,000 data, as a share of what a known fault has: latents 20 % too wide. Supported if it is below 0.1 of it, which rules
out any fault of a tenth of that discrepancy; refuted if above; undecided where a premise fails.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, final, override

import pandas as pd
import torch
from matplotlib.figure import Figure

from analysis.aggregate import DiagonalAggregate, HeldCodes
from analysis.divergence import total_variation
from analysis.draws import evaluate_component_draws, evaluate_prior_draws
from analysis.plots import ROLES
from analysis.randomness import stream
from analysis.two_sample import median_bandwidth, squared_mmd
from models.linear import LinearGaussianVAE
from study.answers.hypotheses import _drawing as drawing
from study.answers.hypotheses._base import Hypothesis, Verdict
from study.answers.hypotheses._criterion import Criterion, first_given_rest, judged
from study.answers.results import Results

LATENT_DIM, PIXELS, GAIN, NOISE = 16, 64, 2.0, 0.1
IMAGES, SAMPLES, REPETITIONS = 500, 1_000, 10
FAULT = 1.2
"""Factor on the latents of the known fault."""
DISJOINT, NO_GAP, SHARE = 0.99, 1e-6, 0.1


class Trial(NamedTuple):
    """One repetition: TV(q_N, p), the exact KL(q_∞ ‖ p) and rate (nats), and squared discrepancies to the data of
    samples of the model and of samples with the fault."""

    total_variation: float
    population_kl: float
    rate: float
    samples: float
    fault: float


@cache
@torch.no_grad()
def trial(seed: int) -> Trial:
    """The repetition of this seed, which is the whole of its randomness."""
    vae = LinearGaussianVAE.random(LATENT_DIM, PIXELS, gain=GAIN, noise=NOISE, generator=stream(seed, "H4", "model"))
    generator = stream(seed, "H4", "draws")
    posterior = vae.posterior(vae.simulate(IMAGES, stream(seed, "H4", "images"))).base_dist
    aggregate = DiagonalAggregate(HeldCodes(posterior.loc, posterior.scale))
    z, component = aggregate.sample_per_image(2, generator)
    prior_z = torch.randn(SAMPLES, LATENT_DIM, generator=generator, dtype=z.dtype)
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


@final
class Disjointness(Hypothesis):
    """The linear-Gaussian VAE: q_N disjoint from the prior, samples exact."""

    id = "H4"
    claim = "An aggregate posterior q_N that is disjoint from the prior can go with samples that are exact."
    needs = "No cells: it is computed from the exactly solvable linear-Gaussian VAE."

    @override
    def decide(self, results: Results) -> Verdict:
        trials = _trials()
        return judged(
            [
                Criterion.of_ratio(
                    "discrepancy of samples and data as a share of that of latents 20 % too wide",
                    trials["samples"],
                    trials["fault"],
                    most=SHARE,
                ),
                Criterion.of_mean("TV(q_N, p)", trials["total_variation"], least=DISJOINT),
                Criterion.of_mean("KL(q_∞ ‖ p), nats", trials["population_kl"], most=NO_GAP),
            ],
            f"linear-Gaussian VAE, D = {LATENT_DIM}, N = {IMAGES}, repetitions instead of trainings",
            combine=first_given_rest,
            notes=[f"rate {trials['rate'].to_numpy().mean():.3g} nats, log N = 6.21"],
        )

    @override
    def draw(self, results: Results) -> Figure:
        """A linear-Gaussian VAE with its exact posterior; one dot per repetition. Left: total variation between the
        aggregate posterior q_N of the images and the prior: they share next to nothing (dashed: 1). Right: squared
        maximum mean discrepancy to the data of decoded draws of the prior, and, to show what the test can see, of the
        same with latents 20 % too wide; 0 is what exact samples have on average."""
        trials = _trials()
        made, (left, right) = drawing.panels(2, width=3.4)
        columns = ((left, ("total_variation",)), (right, ("samples", "fault")))
        for axes, names in columns:
            long = pd.concat(
                [pd.DataFrame({"place": place, "value": trials[n].to_numpy()[0]}) for place, n in enumerate(names)]
            )
            drawing.means(axes, long, "place", "value", "repetitions", colour=ROLES["aggregate"], line="")
            axes.set_xlim(-0.6, len(names) - 0.4)
        left.axhline(1.0, **drawing.guide())
        left.set_ylim(0.0, 1.05)
        right.axhline(0.0, **drawing.guide())
        left.set_xticks([0], ["q_N against prior"])
        right.set_xticks([0, 1], ["prior draws", "20 % too wide"])
        drawing.titled(left, "", "total variation")
        drawing.titled(right, "", "squared discrepancy to data")
        return made


def _trials() -> dict[str, pd.DataFrame]:
    """By name of a field, one family of repetitions."""
    rows = [trial(seed) for seed in range(REPETITIONS)]
    return {
        name: pd.DataFrame([[getattr(row, name) for row in rows]], index=["linear-Gaussian VAE"])
        for name in Trial._fields
    }
