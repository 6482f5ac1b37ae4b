"""Models of pythae whose encoder gives ``embedding`` and ``log_covariance``: its VAE and those derived from it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from study.diagnosis.adapters._base import Adapted, Adapter, is_a


def adapt(model: Any) -> Adapted:
    """Mean and scale of q(z|x), and the decoder's reconstruction."""

    def encode(images: Tensor) -> tuple[Tensor, Tensor]:
        output = model.encoder(images)
        return output.embedding, (output.log_covariance / 2).exp()

    def decode(z: Tensor) -> Tensor:
        images: Tensor = model.decoder(z).reconstruction
        return images

    return Adapted(encode, decode)


ADAPTER = Adapter(lambda model: is_a(model, "pythae", "VAE"), adapt)
