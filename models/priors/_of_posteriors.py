"""PosteriorPrior: a prior that is made of posteriors q(z|u), at images u of its own."""

from __future__ import annotations

from pyro.distributions import TorchDistribution
from torch import Tensor

from models.context import Context
from models.posteriors import Posterior
from models.priors._base import Prior


class PosteriorPrior(Prior):
    """Base of priors that evaluate the VAE's own posterior, which the context must hold; ValueError where it does not.

    The posterior stays a part of the VAE: its parameters and its state are not repeated in those of the prior.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if not isinstance(context.posterior, Posterior):
            raise ValueError(f"prior {self.name} is made of posteriors; build it with a context that holds one")
        # Inside a tuple the shared module is not registered as a part of this one.
        self._posterior = (context.posterior,)

    def posteriors(self, images: Tensor) -> TorchDistribution:
        """The batch of q(z|u) of ``images`` ``(K, *image_shape)``."""
        (posterior,) = self._posterior
        return posterior(images)

    def moments(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Means and variances ``(K, *latent_shape)`` of the q(z|u) of ``images`` ``(K, *image_shape)``.

        Raises ValueError where the posterior has none in closed form.
        """
        q = self.posteriors(images)
        try:
            return q.mean, q.variance
        except NotImplementedError as error:
            raise ValueError(
                f"prior {self.name} is made of posterior moments, and {type(q).__name__} has none in closed form; "
                "use posterior=diagonal_normal, or prior=vamp, which takes any posterior"
            ) from error
