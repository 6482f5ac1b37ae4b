"""
Shells, and why they mislead
============================

In D dimensions the norm of a draw from N(0, I) is about √D, with a standard deviation of about 0.7 whatever D is. Do
codes that miss the prior lie off that shell? Here codes miss the prior completely and lie on its shell all the same:
norms show no difference where densities tell every draw apart.
"""

import matplotlib.pyplot as plt
import torch

from analysis.aggregate import DiagonalAggregate, InMemoryCodes

torch.manual_seed(0)
D, N = 1024, 500

# %%
# Means of norm 12, and scales that leave the second moment of every dimension at 1, as a trained optimum does.
loc = torch.randn(N, D)
loc = 12 * loc / loc.norm(dim=1, keepdim=True)
scale = (1 - loc.square().mean(0)).sqrt().expand(N, D)
aggregate = DiagonalAggregate(InMemoryCodes(loc, scale.contiguous()))
codes, _ = aggregate.sample_per_image(1, torch.Generator().manual_seed(1))
prior = torch.randn(N, D)

# %%
# The norms of both are on the left, and on the right the difference of log-densities, which tells every draw apart.
ratio = [
    aggregate.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z).double().sum(1) for z in (codes, prior)
]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for z, t, label in zip((codes, prior), ratio, ("codes", "prior"), strict=True):
    left.hist(z.norm(dim=1), bins=30, alpha=0.6, label=label)
    right.hist(t, bins=30, alpha=0.6, label=label)
left.set_xlabel("norm")
right.set_xlabel("log q(z) − log p(z), nats")
left.legend()
plt.show()
