"""
Swap the prior
==============

The same network is trained on the same images under two priors, N(0, I) and a learned mixture of normals. The picture
shows decoded draws of each prior and, for comparison, of codes of training images, which a prior that matched the
aggregate posterior would give.
"""

import matplotlib.pyplot as plt
import torch
from _training import train

from study.run.data.loading import load

images = load("digits", limit=1000).images
vaes = {name: train(images, name) for name in ("standard_normal", "gaussian_mixture")}

# %%
# Each row is one source.
rows = {}
with torch.no_grad():
    for name, vae in vaes.items():
        rows[name] = vae.likelihood(vae.prior().sample((12,))).mean
    last = vaes["gaussian_mixture"]
    rows["aggregate"] = last.likelihood(last.posterior(images[:12].round()).sample()).mean

figure, axes = plt.subplots(len(rows), 12, figsize=(9, 2.6), layout="constrained")
for line, (name, pictures) in zip(axes, rows.items(), strict=True):
    for ax, picture in zip(line, pictures, strict=True):
        ax.imshow(picture[0], cmap="gray", vmin=0, vmax=1)
        ax.set_xticks([])
        ax.set_yticks([])
    line[0].set_title(name, loc="left", fontsize=9)
plt.show()
