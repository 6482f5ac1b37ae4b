"""
Simulation-based calibration of a guide
=======================================

Draw a latent from the prior, and an image from the decoder at that latent. The latent is then a draw from the exact
posterior of that image, and its rank among draws of the guide is uniform if the guide is right. A guide that is too
narrow gives too many ranks at both ends.
"""

import matplotlib.pyplot as plt
import torch

from analysis.calibration import posterior_ranks
from analysis.randomness import stream
from models.linear import LinearGaussianVAE

model = LinearGaussianVAE.random(2, 8, gain=1.5, noise=0.7, generator=stream(0, "model"))
latent = torch.randn(2000, 2, dtype=torch.float64, generator=stream(0, "latent"))
with torch.no_grad():
    images = model.likelihood(latent).sample()
    exact = model.posterior(images)
    mean = exact.mean
    draws = exact.sample((40,))

# %%
# Compare the exact posterior with one of half its standard deviation.
figure, axes = plt.subplots(1, 2, figsize=(8, 2.6), sharey=True, layout="constrained")
for ax, factor, name in zip(axes, (1.0, 0.5), ("exact posterior", "half its standard deviation"), strict=True):
    ranks = posterior_ranks(latent, [mean + factor * (draws - mean)])
    ax.hist(ranks[:, 0].numpy(), bins=41)
    ax.set_title(name)
    ax.set_xlabel("rank of the latent among 40 draws")
plt.show()
