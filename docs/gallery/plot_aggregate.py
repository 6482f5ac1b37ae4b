"""
The aggregate posterior as an explicit mixture
==============================================

The aggregate posterior of N images is the mixture of their N posteriors. Its log-density is exact: no part of it is
estimated from a batch. With two dimensions it can be drawn.
"""

import matplotlib.pyplot as plt
import torch

from analysis.aggregate import DiagonalAggregate, InMemoryCodes

torch.manual_seed(0)
angle = torch.rand(200) * 2 * torch.pi
loc = torch.stack([angle.cos(), angle.sin()], 1) * (1 + 0.3 * torch.randn(200, 1))
scale = torch.full_like(loc, 0.15)
aggregate = DiagonalAggregate(InMemoryCodes(loc, scale))

# %%
# The density on a grid, and N(0, I) as contours: the aggregate leaves a hole where the prior has most of its density.
axis = torch.linspace(-2.5, 2.5, 150)
grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)
density = aggregate.log_prob(grid).exp().reshape(150, 150)
prior = torch.distributions.Normal(0.0, 1.0).log_prob(grid).sum(1).exp().reshape(150, 150)

figure, axes = plt.subplots(figsize=(4.2, 4), layout="constrained")
axes.pcolormesh(axis, axis, density, cmap="Blues")
axes.contour(axis, axis, prior, colors="black", linewidths=0.7)
axes.set_aspect("equal")
plt.show()
