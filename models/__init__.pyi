from .context import Context as Context
from .likelihoods import Likelihood as Likelihood
from .linear import LinearGaussianVAE as LinearGaussianVAE
from .posteriors import Posterior as Posterior
from .priors import Prior as Prior
from .shapes import Shapes as Shapes
from .vae import VAE as VAE
