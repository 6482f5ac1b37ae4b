"""
The mismatch and the number of images
=====================================

The divergence of the aggregate of N images from the prior falls with N as long as the posteriors do not overlap: each
doubling of N takes log 2 off it. This holds for every model, even for one whose mixture over all images is the prior
itself, as here.
"""

import math

import matplotlib.pyplot as plt
import torch

from analysis.aggregate import DiagonalAggregate, InMemoryCodes

torch.manual_seed(0)
D, SIGMA = 16, 0.25
sizes = [30, 100, 300, 1000, 3000]

# %%
# Means are drawn so that the mixture over all images is N(0, I) exactly.
kl, error = [], []
for n in sizes:
    loc = (1 - SIGMA**2) ** 0.5 * torch.randn(n, D)
    aggregate = DiagonalAggregate(InMemoryCodes(loc, torch.full_like(loc, SIGMA)))
    z, _ = aggregate.sample_per_image(1, torch.Generator().manual_seed(n))
    t = aggregate.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z).double().sum(1)
    kl.append(t.mean().item())
    error.append(2 * t.std().item() / n**0.5)

# %%
# The dashed line is R − log N, with R the rate of one posterior.
rate = 0.5 * D * ((1 - SIGMA**2) + SIGMA**2 - 1 - 2 * math.log(SIGMA))
figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
axes.errorbar(sizes, kl, yerr=error, marker="o")
axes.plot(sizes, [rate - math.log(n) for n in sizes], linestyle="--", color="black")
axes.set_xscale("log")
axes.set_xlabel("number of images N")
axes.set_ylabel("KL(q_N ‖ p), nats")
plt.show()
