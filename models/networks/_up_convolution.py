r"""UpConvolution: the transposed convolution of kernel 4 and stride 2 that doubles the sides of a map.

    y[2m + a] = Σ_i x[i] w[2(m − i) + a + 1],    a = 0, 1,    i = m − 1, m, m + 1,

in each direction: the pixels of one parity are a convolution of kernel 3, whose taps are those of w of one parity and a
zero. All four parities of a plane are one convolution with four times the channels, whose outputs are then shuffled
(sub-pixel convolution; Shi et al. 2016, arXiv:1609.05158). On the CPU this takes a third of the time of the transposed
one for few channels, and its gradient takes more: it serves where none is asked for.
"""

from __future__ import annotations

from typing import final, override

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@final
class UpConvolution(nn.ConvTranspose2d):
    """Maps ``(B, inputs, h, w)`` to ``(B, outputs, 2h, 2w)``.

    inputs: channels of what it is given.
    outputs: channels of what it gives.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)

    @override
    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The larger map; ``output_size`` is torch's and stays None."""
        if torch.is_grad_enabled() or input.device.type != "cpu":
            return super().forward(input, output_size)
        assert self.bias is not None
        by_parity = F.pad(self.weight, (1, 1, 1, 1)).unflatten(3, (3, 2)).unflatten(2, (3, 2))
        weight = by_parity.permute(1, 3, 5, 0, 2, 4).flatten(0, 2).flip(2, 3)
        return F.pixel_shuffle(F.conv2d(input, weight, self.bias.repeat_interleave(4), padding=1), 2)
