"""
A prior of your own
===================

A prior is a module whose ``forward`` returns a distribution over the latent shape. This one is a Laplace distribution
with scales that are learned. Saved as a file of ``models/priors``, it becomes ``prior=laplace`` on the command line.
"""

from typing import final, override

import matplotlib.pyplot as plt
import pyro.distributions as dist
import torch
from _training import train
from torch import nn
from torch.nn.functional import softplus

from models.context import Context
from models.priors import Prior
from study.run.data.loading import load


@final
class Laplace(Prior):
    """Independent Laplace densities of learned scales."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.raw_scale = nn.Parameter(torch.zeros(context.latent_shape))

    @override
    def forward(self) -> dist.TorchDistribution:
        scale = softplus(self.raw_scale)
        return dist.Laplace(torch.zeros_like(scale), scale).to_event(len(self.latent_shape))


# %%
# Train it like any other. These are the scales that it learned.
vae = train(load("digits", limit=1000).images, Laplace)
figure, axes = plt.subplots(figsize=(4.5, 2.6), layout="constrained")
axes.bar(range(8), softplus(vae.prior.raw_scale).detach())
axes.set_xlabel("dimension")
axes.set_ylabel("learned scale")
plt.show()
