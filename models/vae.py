r"""VAE: the Pyro model/guide pair p(z) p(x|z), q(z|x), with one plate over images.

    model:  z_n ~ p(z),      x_n ~ p(x | z_n)
    guide:  z_n ~ q(z | x_n)

``latent_scale`` multiplies the log-densities of z in both, so that any ELBO becomes the β-ELBO
E_q[log p(x|z)] − β KL(q ‖ p) (Higgins et al. 2017). It belongs to training: evaluation leaves it at 1. So does what a
prior made of training images hides from them (:meth:`~models.priors.Prior.for_training`): in evaluation mode,
``vae.eval()``, the model is p(z) itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import pyro
from pyro import poutine
from torch import Tensor, nn

from models.likelihoods import Likelihood
from models.posteriors import Posterior
from models.priors import Prior
from models.store_name import StoreName


@final
class VAE(nn.Module):
    """Three swappable parts; usable with any Pyro inference class.

    prior: p(z), a distribution over latents of one event shape.
    posterior: q(z|x), a distribution over the same latents for each image.
    likelihood: p(x|z), a distribution over images for each latent.

    Raises ValueError where prior and posterior live on different spaces.

    >>> import torch
    >>> from pyro.infer import SVI, Trace_ELBO
    >>> from pyro.optim import Adam
    >>> from models.context import Context
    >>> from models.likelihoods.bernoulli import Bernoulli
    >>> from models.networks.mlp import MLP
    >>> from models.posteriors.diagonal_normal import DiagonalNormal
    >>> from models.priors.standard_normal import StandardNormal
    >>> from models.shapes import Shapes
    >>> context = Context(Shapes((4,), (1, 8, 8)), MLP(hidden=(32,)))
    >>> vae = VAE(StandardNormal(context), DiagonalNormal(context), Bernoulli(context))
    >>> svi = SVI(vae.model, vae.guide, Adam({"lr": 1e-3}), Trace_ELBO())
    >>> images = torch.rand(16, 1, 8, 8).round()
    >>> svi.step(images) > 0  # the negative ELBO of the batch, in nats
    True
    >>> vae.posterior(images).sample().shape
    torch.Size([16, 4])
    >>> vae.likelihood(vae.prior().sample((5,))).mean.shape
    torch.Size([5, 1, 8, 8])
    """

    def __init__(self, prior: Prior, posterior: Posterior, likelihood: Likelihood) -> None:
        super().__init__()
        if prior.support != posterior.support:
            raise ValueError(
                f"prior {prior.name} lives on the {prior.support} space and posterior {posterior.name} on the "
                f"{posterior.support} one, which gives an infinite KL; prior=hypersphere goes with "
                "posterior=von_mises_fisher, and neither with parts on the real space"
            )
        self.posterior = posterior
        self.likelihood = likelihood
        self.prior = prior
        self._store_name = StoreName("vae")

    def model(self, images: Tensor, latent_scale: Tensor | float = 1.0) -> Tensor:
        """Joint p(x, z) with ``images`` observed; returns z ``(B, *latent_shape)``.

        images: ``(B, *image_shape)`` in [0, 1].
        latent_scale: β, which multiplies the log-density of z.
        """
        pyro.module(str(self._store_name), self)
        with pyro.plate("images", len(images)):
            with poutine.scale(scale=latent_scale):
                z = pyro.sample("z", self.prior.for_training(images) if self.training else self.prior())
            pyro.sample("x", self.likelihood(z), obs=images)
        return z

    def guide(
        self,
        images: Tensor,
        latent_scale: Tensor | float = 1.0,
        observations: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Approximate posterior q(z|x); returns z ``(B, *latent_shape)``.

        images: ``(B, *image_shape)`` in [0, 1].
        latent_scale: β, as in :meth:`model`.
        observations: where given, its ``"x"`` stands for ``images``: what the sleep phase of Pyro's ReweightedWakeSleep
            drew from the model, ``(B, *image_shape)`` with dimensions of particles before it.
        """
        pyro.module(str(self._store_name), self)
        seen = images if observations is None else observations["x"]
        with pyro.plate("images", len(images)), poutine.scale(scale=latent_scale):
            return pyro.sample("z", self.posterior(seen))
