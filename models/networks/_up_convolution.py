"""UpConvolution: the transposed convolution of kernel 4 and stride 2 that doubles the sides of a map.

To few channels a processor evaluates it as a product of matrices where no gradient is asked for. Where one is, torch's
operation is called: what traces an update writes its forward pass as that product, and leaves its gradient to torch.
"""

from __future__ import annotations

from typing import final, override

import torch
from torch import Tensor, nn

from models.transposed_convolution import MOST_CHANNELS, transposed_convolution


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
        is_plain = input.ndim == 4 and input.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        if torch.is_grad_enabled() or not is_plain or self.out_channels > MOST_CHANNELS:
            return super().forward(input, output_size)
        return transposed_convolution(input, self.weight, self.bias, (2, 2), (1, 1))
