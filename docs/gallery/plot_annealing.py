"""
Annealed importance sampling of log p(x)
========================================

The log-likelihood of a decoder is an integral, and importance sampling from q(z|x) estimates it badly where q(z|x) is
far from the exact posterior. Chains that pass through intermediate distributions bound it from below and, for images
that the model itself made, from above. Here the exact value is known.
"""

import matplotlib.pyplot as plt
import torch

from analysis.likelihood.annealing import AnnealingPath, sandwich, sigmoid_schedule
from analysis.randomness import stream
from models.linear import LinearGaussianVAE

model = LinearGaussianVAE.random(4, 12, gain=3.0, noise=0.5, generator=stream(0, "model"))
latent = torch.randn(30, 4, dtype=torch.float64, generator=stream(0, "latent"))
with torch.no_grad():
    images = model.likelihood(latent).sample()
    exact = model.marginal().log_prob(images).mean()


def log_prior(z: torch.Tensor) -> torch.Tensor:
    return model.prior().log_prob(z)


def log_joint(z: torch.Tensor) -> torch.Tensor:
    return log_prior(z) + model.likelihood(z).log_prob(images)


# %%
# Run 16 chains for each image from the prior, with more and more temperatures.
counts, lower, upper = [2, 4, 8, 16, 32, 64], [], []
for count in counts:
    start = torch.randn(2, 16, 30, 4, dtype=torch.float64, generator=stream(count, "start"))
    path = AnnealingPath.tuned(log_prior, log_joint, start[0], sigmoid_schedule(count), stream(count, "pilot"))
    bounds = sandwich(path, start[1], latent.expand(16, 30, 4), stream(count, "chains"))
    lower.append(bounds.lower.estimate().value)
    upper.append(bounds.upper.estimate().value)

# %%
# Both ends close in on the exact value.
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.plot(counts, lower, marker="o", label="from below")
axes.plot(counts, upper, marker="o", label="from above")
axes.axhline(exact, color="black", linestyle="--", label="exact")
axes.set_xscale("log", base=2)
axes.set_yscale("symlog")
axes.set_xlabel("number of temperatures")
axes.set_ylabel("mean log p(x), nats")
axes.legend()
plt.show()
