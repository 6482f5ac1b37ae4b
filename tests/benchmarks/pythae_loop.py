"""pythae's VAE under its own trainer: run by ``training_step.py --peers`` in an environment of its own.

python pythae_loop.py BATCH UPDATES     prints the seconds of the updates
"""

import contextlib
import io
import logging
import sys
import tempfile
import time

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import nn

HIDDEN, LATENT, NUM_IMAGES = 400, 32, 6_000


class Encoder(BaseEncoder):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
        self.loc, self.log_variance = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

    def forward(self, x):
        features = self.body(x)
        return ModelOutput(embedding=self.loc(features), log_covariance=self.log_variance(features))


class Decoder(BaseDecoder):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 784)
        )

    def forward(self, z):
        return ModelOutput(reconstruction=self.body(z).sigmoid().reshape(-1, 1, 28, 28))


def main(batch: int, updates: int) -> None:
    generator = torch.Generator().manual_seed(0)
    prototypes = torch.rand(50, 1, 28, 28, generator=generator)
    images = (prototypes[torch.randint(50, (batch * updates,), generator=generator)] > 0.5).float()
    model = VAE(
        VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce"),
        encoder=Encoder(),
        decoder=Decoder(),
    )
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        logging.disable(logging.INFO)
        config = BaseTrainerConfig(
            output_dir=folder, num_epochs=1, per_device_train_batch_size=batch, learning_rate=1e-3, no_cuda=True
        )
        trainer = BaseTrainer(model, BaseDataset(images, torch.zeros(len(images))), None, config)
        trainer.prepare_training()
        trainer.train_step(1)
        start = time.perf_counter()
        trainer.train_step(2)
        seconds = time.perf_counter() - start
    print(seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
