"""Diffusers' ``AutoencoderKL``, in the space in which people sample: z = (code − shift_factor) · scaling_factor.

Images are in [0, 1] here and in [−1, 1] there. The codes of a diffusion model are scaled so that their variance is
about 1; the prior is judged on these, and draws are scaled back before they are decoded.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from study.diagnosis.adapters._base import Adapted, Adapter, is_a


def adapt(model: Any) -> Adapted:
    """Mean and scale of the scaled codes, and images of them."""
    factor = float(getattr(model.config, "scaling_factor", None) or 1.0)
    shift = float(getattr(model.config, "shift_factor", None) or 0.0)

    def encode(images: Tensor) -> tuple[Tensor, Tensor]:
        q = model.encode((2 * images - 1).to(model.dtype)).latent_dist
        return (q.mean - shift) * factor, q.std * factor

    def decode(z: Tensor) -> Tensor:
        images: Tensor = model.decode((z / factor + shift).to(model.dtype)).sample
        return ((images + 1) / 2).clamp(0, 1)

    return Adapted(encode, decode)


ADAPTER = Adapter(lambda model: is_a(model, "diffusers", "AutoencoderKL"), adapt)
