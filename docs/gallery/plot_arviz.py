"""
ArviZ on the results of a study
===============================

A study gives the cells of each prior as one ArviZ tree, in which training seeds take the place of chains. Here such a
tree is made by hand from two short trainings; ``Store(folder).load()`` reads those of a study.
"""

import arviz as az
import torch
from _training import train

from analysis.aggregate import DiagonalAggregate, InMemoryCodes
from analysis.draws import evaluate_component_draws
from study.run.data.loading import load

images = load("digits", limit=500).images
integrands = []
for steps in (60, 300):
    vae = train(images, "standard_normal", steps=steps)
    with torch.no_grad():
        q = vae.posterior(images.round())
        aggregate = DiagonalAggregate(InMemoryCodes(q.base_dist.loc, q.base_dist.scale))
        z, component = aggregate.sample_per_image(1, torch.Generator().manual_seed(0))
        integrands.append(evaluate_component_draws(aggregate, vae.prior(), z, component).integrands())

# %%
# The mean over draws is the estimate, and ``mcse_mean`` its standard error. After 60 and 300 updates the two "chains"
# are different models, and ``r_hat`` says so.
tree = az.from_dict(
    {"posterior": {name: torch.stack([each[name] for each in integrands]).numpy() for name in ("rate", "kl")}}
)
print(az.summary(tree))

# %%
# Here is the spread over draws in each training.
az.plot_forest(tree, backend="matplotlib", combined=False)
