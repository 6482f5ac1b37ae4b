"""Samples and log-density of a prior that was fitted to the codes of a VAE; needs torch and safetensors and no more.

    from sampler import Sampler
    sampler = Sampler(".")            # the folder of sampler.json and sampler.safetensors
    z = sampler.sample(16)            # (16, *latent_shape), to be decoded by your model
    log_density = sampler.log_prob(z)

The density is a mixture of K normals over the D flattened latent dimensions,

    r(z) = sum_k weights[k] N(z; loc[k], covariance[k]),

with the covariance diag(scale[k]^2), scale_tril[k] scale_tril[k]^T, or diag(diagonal[k]) + factor[k] factor[k]^T.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

BLOCK = 2**22  # numbers in flight


class Sampler:
    """The density in ``folder``.

    Args:
        folder: holds ``sampler.json`` and ``sampler.safetensors``.
        device: where draws are wanted.
    """

    def __init__(self, folder: str | Path, device: str | torch.device = "cpu") -> None:
        about = json.loads((Path(folder) / "sampler.json").read_text("utf-8"))
        self.latent_shape = tuple(about["latent_shape"])
        self.dtype = getattr(torch, about["dtype"])
        self.device = torch.device(device)
        self._parts = load_file(Path(folder) / "sampler.safetensors", device=str(device))

    def sample(self, num: int, generator: torch.Generator | None = None) -> Tensor:
        """Independent draws ``(num, *latent_shape)``, by ``generator`` where one is given."""
        parts, device = self._parts, self.device
        source = device if generator is None else generator.device
        shares = parts["weights"].double().cumsum(0)
        points = torch.rand(num, generator=generator, dtype=torch.float64, device=source).to(device) * shares[-1]
        chosen = torch.searchsorted(shares, points).clamp(max=len(shares) - 1)
        loc = parts["loc"][chosen].double()
        noise = torch.randn(loc.shape, generator=generator, dtype=torch.float64, device=source).to(device)
        if "scale" in parts:
            z = loc + parts["scale"][chosen].double() * noise
        elif "scale_tril" in parts:
            z = loc + torch.stack([parts["scale_tril"][k].double() @ e for k, e in zip(chosen, noise, strict=True)])
        else:
            rank = parts["factor"].shape[2]
            common = torch.randn(num, rank, generator=generator, dtype=torch.float64, device=source).to(device)
            along = torch.stack([parts["factor"][k].double() @ e for k, e in zip(chosen, common, strict=True)])
            z = loc + parts["diagonal"][chosen].double().sqrt() * noise + along
        return z.to(self.dtype).reshape(num, *self.latent_shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density ``(num,)`` in nats, float64, of latents ``z`` ``(num, *latent_shape)``."""
        flat = z.to(self.device).double().flatten(1)
        weights = self._parts["weights"].double().log()
        total = torch.full((len(flat),), -math.inf, dtype=torch.float64, device=self.device)
        step = max(1, BLOCK // max(1, flat.numel() if "scale" in self._parts else BLOCK))
        for start in range(0, len(weights), step):
            some = slice(start, start + step)
            total = torch.logaddexp(total, (weights[some] + self._log_normals(flat, some)).logsumexp(1))
        return total

    def _log_normals(self, flat: Tensor, some: slice) -> Tensor:
        parts = {name: part[some].double() for name, part in self._parts.items()}
        deviation = flat[:, None] - parts["loc"]
        constant = flat.shape[1] * math.log(2 * math.pi)
        if "scale" in parts:
            scaled = deviation / parts["scale"]
            return -(scaled.square().sum(2) + 2 * parts["scale"].log().sum(1) + constant) / 2
        if "scale_tril" in parts:
            lower = parts["scale_tril"]
            half = lower.diagonal(dim1=1, dim2=2).log().sum(1)
        else:
            # Woodbury: the covariance diag(d) + F F^T by the R x R matrix I + F^T diag(1/d) F.
            factor, diagonal = parts["factor"], parts["diagonal"]
            scaled = factor / diagonal[:, :, None]
            inner = torch.eye(factor.shape[2], dtype=flat.dtype, device=flat.device) + factor.mT @ scaled
            root = torch.linalg.cholesky(inner)
            along = torch.linalg.solve_triangular(root, (deviation.permute(1, 0, 2) @ scaled).mT, upper=False)
            square = (deviation.square() / diagonal).sum(2) - along.square().sum(1).T
            half = root.diagonal(dim1=1, dim2=2).log().sum(1) + diagonal.log().sum(1) / 2
            return -(square + constant) / 2 - half
        whitened = torch.linalg.solve_triangular(lower, deviation.permute(1, 2, 0), upper=False)
        return -(whitened.square().sum(1).T + constant) / 2 - half
