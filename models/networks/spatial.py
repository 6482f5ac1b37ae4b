r"""Spatial bodies: a fully convolutional network whose latent is a feature map, and its twin with a dense bottleneck.

The image is padded to a square whose side is 2^levels times the map's, halved ``levels`` times, and mapped to
``stem`` channels; the decoder mirrors it. What the latent shape says decides between the two of a controlled pair:

    latent_dim=16x8x8   the map itself is the latent: D = C·h·w, every latent sees a patch of the image
    latent_dim=16       the same network with a dense layer from the ``stem`` map to D numbers, and back

The two differ in more than the shape of the latent: dense layers have many times the weights of the convolutions in
their place, and a bias for each number and each place where a convolution has one for each channel. Either difference
can be taken away by itself: dense layers of low ``rank`` have as few weights, r (inputs + outputs) for inputs times
outputs, and those with ``dense_bias=channel`` share their biases as convolutions do; and a map has the biases of its
twin with ``place=both``.

(8×8×1024 is the stem of the decoders of Tolstikhin et al. 2018 and Ghosh et al. 2020, arXiv:1903.12436, where a dense
layer precedes it.) Normalisation layers are a factor of their own. Convolutions do not know where in the map they are,
but for the padding at its edges: a constant per place, learned, tells it to the decoder, or gives the encoder a mean
that it need not make of the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, final, override

import torch
from torch import Tensor, nn

from models.networks._base import Layout, Network
from models.networks._up_convolution import UpConvolution
from models.options import Count, Widths
from models.shapes import Shapes

GROUPS = 8
"""Most groups of a group normalisation (Wu & He 2018, arXiv:1803.08494)."""

_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "group": lambda channels: nn.GroupNorm(math.gcd(GROUPS, channels), channels),
    "batch": nn.BatchNorm2d,
}


class PlaceConstant(nn.Module):
    """Adds a learned constant to the first ``channels`` of ``(B, K, h, w)``, another one at each place.

    channels: that have it.
    sides: h and w.
    """

    def __init__(self, channels: int, sides: tuple[int, int]) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(channels, *sides))

    def forward(self, features: Tensor) -> Tensor:
        """``features`` ``(B, K, h, w)`` with the constant added."""
        first, rest = features.tensor_split([len(self.constant)], dim=1)
        return torch.cat([first + self.constant, rest], 1)


class SharedBias(nn.Module):
    """Adds one learned number to each of the ``channels`` of ``(B, channels, …)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """``features`` ``(B, channels, …)`` with the biases added."""
        return features + self.bias.view(-1, *[1] * (features.dim() - 2))


@final
class Spatial(Network):
    """Stride-2 convolutions, one per level; a vector latent is dense on a map of its own.

    channels: of the convolution of each level.
    stem: channels of the map below a vector latent; a latent that is a map has its own.
    norm: normalisation after each convolution.
    place: a learned constant per place of a latent that is a map: before the decoder, on the mean that the encoder
        gives (the first of its outputs), on both, or none.
    rank: of the dense layers of a vector latent; none: full.
    dense_bias: of those layers, one for each number and each place, or, as convolutions have them, one for each channel
        of the map; the numbers of a vector, which has no channels, share one for their mean and one for their scale.
    """

    reference = "Ghosh et al. 2020, arXiv:1903.12436"

    def __init__(
        self,
        *,
        channels: Widths = (32, 64),
        stem: Count = 64,
        norm: Literal["none", "group", "batch"] = "none",
        place: Literal["none", "decoder", "encoder", "both"] = "none",
        rank: Count | None = None,
        dense_bias: Literal["place", "channel"] = "place",
    ) -> None:
        self.channels = channels
        self.stem = stem
        self.norm = norm
        self.place = place
        self.rank = rank
        self.dense_bias = dense_bias

    def _stem(self, shapes: Shapes) -> tuple[int, int, int]:
        """Channels, height and width of the map: the latent's own, or the smallest that the image fits."""
        factor = 2 ** len(self.channels)
        height, width = shapes.image_shape[1:]
        least = (math.ceil(height / factor), math.ceil(width / factor))
        if len(shapes.latent_shape) == 1:
            if self.place != "none":
                raise ValueError(
                    f"network.place={self.place} needs a latent that is a map, C×h×w; got latent_dim="
                    f"{shapes.latent_dim}: a dense layer has a bias for each place"
                )
            return (self.stem, *least)
        if (self.rank, self.dense_bias) != (None, "place"):
            raise ValueError(
                "network.rank and network.dense_bias are of the dense layers of a vector latent; got latent_dim="
                f"{'x'.join(map(str, shapes.latent_shape))}, which has none"
            )
        if len(shapes.latent_shape) != 3 or any(a < b for a, b in zip(shapes.latent_shape[1:], least, strict=True)):
            raise ValueError(
                f"network spatial with {len(self.channels)} levels needs a vector latent, or a map of at least "
                f"C×{least[0]}×{least[1]} for images of {height}×{width}; "
                f"got latent_dim={'x'.join(map(str, shapes.latent_shape))}"
            )
        channels, *sides = shapes.latent_shape
        return channels, sides[0], sides[1]

    def _dense(self, inputs: int, shape: tuple[int, ...]) -> list[nn.Module]:
        """Layers from ``(B, inputs)`` to ``(B, *shape)``, channels first."""
        outputs, shared = math.prod(shape), self.dense_bias == "channel"
        last = nn.Linear(inputs if self.rank is None else self.rank, outputs, bias=not shared)
        narrow = [] if self.rank is None else [nn.Linear(inputs, self.rank, bias=False)]
        return [*narrow, last, nn.Unflatten(1, shape), *([SharedBias(shape[0])] if shared else [])]

    def _block(self, convolution: nn.Module, channels: int) -> list[nn.Module]:
        return [convolution, _NORMS[self.norm](channels), nn.ReLU()]

    @override
    def encoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        stem, height, width = self._stem(shapes)
        is_map = len(shapes.latent_shape) == 3
        layers: list[nn.Module] = [_padding(shapes.image_shape[1:], self._padded(height, width))]
        inputs = shapes.image_shape[0]
        for channels in self.channels:
            layers += self._block(nn.Conv2d(inputs, channels, 4, stride=2, padding=1), channels)
            inputs = channels
        if is_map:
            layers.append(nn.Conv2d(inputs, outputs * stem, 3, padding=1))
            if self.place in ("encoder", "both"):
                layers.append(PlaceConstant(stem, (height, width)))
        else:
            layers += self._block(nn.Conv2d(inputs, stem, 3, padding=1), stem)
            layers += [nn.Flatten(), *self._dense(stem * height * width, (outputs, shapes.latent_dim))]
        return nn.Sequential(*layers, Layout(outputs, shapes.latent_shape))

    @override
    def decoder(self, shapes: Shapes, outputs: int) -> nn.Module:
        stem, height, width = self._stem(shapes)
        layers: list[nn.Module] = []
        if len(shapes.latent_shape) == 1:
            layers += [*self._dense(shapes.latent_dim, (stem, height, width)), nn.ReLU()]
        elif self.place in ("decoder", "both"):
            layers.append(PlaceConstant(stem, (height, width)))
        layers += self._block(nn.Conv2d(stem, self.channels[-1], 3, padding=1), self.channels[-1])
        below = (*reversed(self.channels[:-1]), None)
        for inputs, channels in zip(reversed(self.channels), below, strict=True):
            if channels is not None:
                layers += self._block(UpConvolution(inputs, channels), channels)
            else:
                layers.append(UpConvolution(inputs, outputs * shapes.image_shape[0]))
        crop = _padding(self._padded(height, width), shapes.image_shape[1:])
        return nn.Sequential(*layers, crop, Layout(outputs, shapes.image_shape))

    def _padded(self, height: int, width: int) -> tuple[int, int]:
        factor = 2 ** len(self.channels)
        return height * factor, width * factor


def _padding(given: tuple[int, ...], wanted: tuple[int, ...]) -> nn.Module:
    """Zero padding, or cropping where negative, of images of ``given`` sides about their centre to ``wanted`` sides."""
    (height, width), (new_height, new_width) = given, wanted
    top, left = (new_height - height) // 2, (new_width - width) // 2
    return nn.ZeroPad2d((left, new_width - width - left, top, new_height - height - top))
