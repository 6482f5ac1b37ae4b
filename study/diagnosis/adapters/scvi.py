"""scvi-tools' ``SCVI`` models of counts: q(z|x) of cells, given by their numbers in the model's own AnnData.

Observations are cells and no images, so there is no decoder here; ``images`` are the numbers of cells, int64 ``(N,)``,
as ``torch.arange(model.adata.n_obs)``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from study.diagnosis.adapters._base import Adapted, Adapter, is_a


def adapt(model: Any) -> Adapted:
    """Mean and scale of q(z|x) of cells."""

    def encode(cells: Tensor) -> tuple[Tensor, Tensor]:
        loc, variance = model.get_latent_representation(indices=cells.cpu().numpy(), return_dist=True)
        return torch.as_tensor(loc), torch.as_tensor(variance).sqrt()

    return Adapted(encode, None)


ADAPTER = Adapter(lambda model: is_a(model, "scvi", "SCVI"), adapt)
