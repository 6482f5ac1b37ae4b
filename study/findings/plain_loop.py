"""Plain loop: the VAE of the preset ``published`` in a few lines of PyTorch, as a check from outside this software.

    uv run python -m study.findings.plain_loop 15 60

trains it for so many epochs, one training each, and writes ``published-plain.csv`` beside this file: the ELBO of the
held-out images, its standard error over images, and the rate, in nats. Nothing is shared with the models, objectives,
training and estimators of this project: where both agree after as many updates, what both lack of a published number is
due to what both share, of which the number of updates is a part. MNIST is read below ``LATENT_STUDY_DATA``.

Source of the model: Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, one stochastic layer.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Final

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus
from torchvision.datasets import MNIST

from study.findings.published import OUTSIDE

PIXELS, UNITS, LATENT, BATCH, LEARNING_RATE = 784, 200, 50, 100, 1e-3

DECIMALS: Final = 4


def layers(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers of tanh units, with torch's initial weights.

    Args:
        inputs, outputs: numbers of units before and behind them.
    """
    hidden = nn.Linear(inputs, UNITS), nn.Tanh(), nn.Linear(UNITS, UNITS), nn.Tanh()
    return nn.Sequential(*hidden, nn.Linear(UNITS, outputs))


def elbo_and_rate(encoder: nn.Module, decoder: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """The ELBO by one draw and KL(q(z|x) ‖ N(0, I)) of each image, in nats.

    Args:
        encoder: gives loc and what softplus makes a scale of, (images, 2 LATENT).
        decoder: gives logits of pixels.
        images: of zeros and ones, (images, PIXELS).
    """
    loc, raw = encoder(images).chunk(2, dim=1)
    scale = softplus(raw)
    logits = decoder(loc + scale * torch.randn_like(loc))
    rate = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).sum(1)
    return -binary_cross_entropy_with_logits(logits, images, reduction="none").sum(1) - rate, rate


def trained(grey: Tensor, epochs: int, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder after so many epochs of Adam, at a rate that falls to zero along a cosine.

    Args:
        grey: images with pixels in [0, 1], (images, PIXELS), binarised anew in each epoch.
        epochs: their number.
        seed: of weights, order and noise.
    """
    torch.manual_seed(seed)
    encoder, decoder = layers(PIXELS, 2 * LATENT), layers(LATENT, PIXELS)
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], LEARNING_RATE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs * (len(grey) // BATCH))
    for _ in range(epochs):
        for batch in torch.randperm(len(grey)).split(BATCH):
            if len(batch) < BATCH:
                continue
            adam.zero_grad()
            loss = -elbo_and_rate(encoder, decoder, torch.bernoulli(grey[batch]))[0].mean()
            loss.backward()
            adam.step()
            falling.step()
    return encoder, decoder


def line(epochs: int, training: Tensor, held_out: Tensor) -> dict[str, float]:
    """What one training of so many epochs reaches on held-out images: one line of the table.

    Args:
        epochs: of the training.
        training, held_out: grey images.
    """
    start = time.process_time()
    encoder, decoder = trained(training, epochs)
    seconds = time.process_time() - start
    with torch.no_grad():
        elbo, rate = elbo_and_rate(encoder, decoder, torch.bernoulli(held_out))
    return {
        "epochs": epochs,
        "updates": epochs * (len(training) // BATCH),
        "held-out ELBO": elbo.mean().item(),
        "held-out ELBO, error": (elbo.std() / len(elbo) ** 0.5).item(),
        "rate": rate.mean().item(),
        "rate, error": (rate.std() / len(rate) ** 0.5).item(),
        "images": len(elbo),
        "CPU seconds": round(seconds),
    }


def main() -> None:
    """Trains for each number of epochs that is given, and writes the table."""
    root = os.environ.get("LATENT_STUDY_DATA", "data")
    training, held_out = (MNIST(root, train=train).data.flatten(1).float() / 255 for train in (True, False))
    lines = [line(int(epochs), training, held_out) for epochs in sys.argv[1:] or ("15", "60")]
    pd.DataFrame(lines).round(DECIMALS).to_csv(OUTSIDE, index=False)


if __name__ == "__main__":
    main()
