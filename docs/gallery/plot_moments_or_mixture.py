"""
Moments against a mixture
=========================

After training, a density can be fitted to the codes and sampled in the place of the prior. How much of the mismatch
does one Gaussian with their mean and covariance repair, and how much more does a mixture?
"""

import matplotlib.pyplot as plt
import torch

from analysis.density_fits import Codes
from analysis.density_fits.gaussian_mixture import GaussianMixtureFit
from analysis.density_fits.moment_normal import MomentNormalFit
from analysis.randomness import stream

torch.manual_seed(0)
centres = 2.0 * torch.randn(5, 4)
loc = centres[torch.randint(5, (3000,))] + 0.3 * torch.randn(3000, 4)
scale = torch.full_like(loc, 0.4)
codes = Codes(loc, scale, loc + scale * torch.randn_like(loc))
held_out_loc = centres[torch.randint(5, (1000,))] + 0.3 * torch.randn(1000, 4)
held_out = Codes(held_out_loc, scale[:1000], held_out_loc + 0.4 * torch.randn(1000, 4))

# %%
# Both are fitted to codes of the training images and scored, in nats above N(0, I), on codes of other images. The mean
# score therefore estimates a lower bound of the divergence from the prior.
fits = {
    "one Gaussian": MomentNormalFit(),
    "mixture, 5 components": GaussianMixtureFit(num_components=(5,), covariance="full"),
}
fitted = {name: fit.fit(codes, held_out, stream(0, "gallery", index)) for index, (name, fit) in enumerate(fits.items())}
for name, density in fitted.items():
    z = held_out.at(density.held_out_images).z
    gain = density.log_prob(z) - torch.distributions.Normal(0.0, 1.0).log_prob(z).double().sum(1)
    print(f"{name}: {gain.mean():.2f} ± {gain.std() / len(gain) ** 0.5:.2f} nats certified")

# %%
# The first two dimensions of the codes, and of draws from each density.
figure, axes = plt.subplots(1, 3, figsize=(9, 3), sharex=True, sharey=True, layout="constrained")
draws = {"codes": codes.z} | {name: each.sample(3000, stream(1, name)) for name, each in fitted.items()}
for ax, (name, z) in zip(axes, draws.items(), strict=True):
    ax.scatter(z[:, 0], z[:, 1], s=2, alpha=0.4)
    ax.set_title(name)
plt.show()
