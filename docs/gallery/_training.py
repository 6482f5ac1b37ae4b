"""A small VAE trained in seconds, for the examples."""

import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from torch import Tensor

from models.context import Context
from models.priors import Prior
from models.shapes import Shapes
from models.vae import VAE
from study.design.families import LIKELIHOODS, NETWORKS, POSTERIORS, PRIORS


def train(images: Tensor, prior: str | type[Prior], latent_dim: int = 8, steps: int = 300, **options: object) -> VAE:
    """A VAE after ``steps`` updates on binarised images ``(N, 1, H, W)``; ``options`` are the prior's."""
    torch.manual_seed(0)
    context = Context(Shapes((latent_dim,), tuple(images.shape[1:])), NETWORKS["mlp"](hidden=(64,)), images)
    posterior = POSTERIORS["diagonal_normal"](context)
    part = PRIORS[prior] if isinstance(prior, str) else prior
    vae = VAE(part(context.with_posterior(posterior), **options), posterior, LIKELIHOODS["bernoulli"](context))
    svi = SVI(vae.model, vae.guide, Adam({"lr": 3e-3}), Trace_ELBO())
    for _ in range(steps):
        svi.step(torch.bernoulli(images[torch.randint(len(images), (128,))]))
    return vae.eval()
