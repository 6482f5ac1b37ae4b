"""Operations: what encoder, decoder and prior take for one image, counted layer by layer without computing anything.

The parts are run once on the meta device, where tensors have shapes and no values, and
:class:`torch.utils.flop_counter.FlopCounterMode` adds up the multiplications and additions of products and
convolutions; a weight of a convolution takes part in one of each at every place. A prior is evaluated in ways of its
own, and counts two operations for each of its parameters.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from models.pure import pure_pyro
from models.vae import VAE
from study.design.cost import Operations


@torch.no_grad()
def operations(vae: VAE, image_shape: tuple[int, ...], latent_shape: tuple[int, ...]) -> Operations | None:
    """Operations for one image; None where a part cannot be run without values.

    vae: whose networks are on the meta device.
    image_shape: event shape of x.
    latent_shape: event shape of z.
    """
    try:
        with torch.device("meta"), pure_pyro():
            with FlopCounterMode(display=False) as encode:
                vae.posterior(torch.empty(1, *image_shape))
            with FlopCounterMode(display=False) as decode:
                vae.likelihood(torch.empty(1, *latent_shape))
    except (NotImplementedError, RuntimeError):
        return None
    prior = 2.0 * sum(parameter.numel() for parameter in vae.prior.parameters())
    return Operations(encode.get_total_flops(), decode.get_total_flops(), prior)
