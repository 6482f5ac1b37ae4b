"""Adam: torch's fused optimiser (Kingma & Ba 2015, arXiv:1412.6980) on moments that are held elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from study.run.training.step import BETA_1, BETA_2, EPSILON, INFERENCE


class Adam:
    """Updates parameters in place from their ``grad``, and their moments with them.

    parameters: by name.
    exp_avg: first moments, of the same names and shapes.
    exp_avg_sq: second moments.
    count: scalar, updates that were made before.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        exp_avg: Mapping[str, Tensor],
        exp_avg_sq: Mapping[str, Tensor],
        count: Tensor,
    ) -> None:
        self._parameters = dict(parameters)
        self._optimiser = torch.optim.Adam(parameters.values(), betas=(BETA_1, BETA_2), eps=EPSILON, fused=True)
        for name, parameter in parameters.items():
            self._optimiser.state[parameter] = {
                "step": count.float(),
                "exp_avg": exp_avg[name],
                "exp_avg_sq": exp_avg_sq[name],
            }

    def step(self, learning_rate: Tensor, *, generative: bool) -> None:
        """One update, after which no parameter has a ``grad``.

        learning_rate: scalar.
        generative: whether decoder and prior move; where they do not, their moments stay and the update counts.
        """
        if not generative:
            for name, parameter in self._parameters.items():
                if not name.startswith(INFERENCE):
                    parameter.grad = None
                    self._optimiser.state[parameter]["step"].add_(1)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        self._optimiser.step()
        self._optimiser.zero_grad()
