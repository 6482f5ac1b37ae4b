"""HeldOut: the negative ELBO of held-out images while training runs, and the best parameters it has seen.

It is the plain ELBO whatever objective trains, so that cells of different objectives compare.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from analysis.randomness import stream
from models import noise
from models.objectives.elbo import ELBO
from models.pure import pure_pyro
from models.vae import VAE
from study.measurement.stored_images import Images
from study.run.training.step import noise_shapes

_CHUNK = 1_000


class HeldOut:
    """Evaluates each replicate with the same noise at every epoch, so that its course is not blurred by new draws.

    vaes: the replicates, S of them.
    images: held out, ``(N, *image_shape)``.
    patience: epochs without a better value, in every replicate, after which training has ``stalled``; None: never,
        and no parameters are kept.
    """

    def __init__(self, vaes: Sequence[VAE], images: Images, *, patience: int | None) -> None:
        self._vaes = list(vaes)
        self._objective = ELBO()
        self._images = images
        self._patience = patience
        self._shapes: dict[int, list[torch.Size]] = {}
        self._best = [math.inf] * len(self._vaes)
        self._since = [0] * len(self._vaes)
        self._best_tensors: list[dict[str, Tensor]] = [{} for _ in self._vaes]

    @property
    def stalled(self) -> bool:
        """Whether every replicate has waited ``patience`` evaluations for a better value."""
        return self._patience is not None and min(self._since) >= self._patience

    def evaluate(self) -> list[float]:
        """−ELBO at latent scale 1, nats per image, of each replicate as its module now stands, in evaluation mode."""
        values = []
        for vae in self._vaes:
            vae.eval()
            values.append(self._loss(vae))
            vae.train()
        for index, value in enumerate(values):
            if value < self._best[index]:
                self._best[index], self._since[index] = value, 0
                if self._patience is not None:
                    self._best_tensors[index] = {
                        n: t.detach().clone() for n, t in self._vaes[index].state_dict().items()
                    }
            else:
                self._since[index] += 1
        return values

    def _loss(self, vae: VAE) -> float:
        total = torch.zeros((), dtype=torch.float64, device=self._images.device)
        generator = stream(0, "held-out loss", device=self._images.device)
        for chunk in self._images.split(_CHUNK):
            images = chunk if chunk.is_floating_point() else chunk.float()
            if len(images) not in self._shapes:  # finding them takes as long as the evaluation
                self._shapes[len(images)] = noise_shapes(vae, self._objective, images)
            draws = [
                torch.randn(shape, generator=generator, device=images.device) for shape in self._shapes[len(images)]
            ]
            with torch.no_grad(), noise.replay(draws), pure_pyro():
                total += self._objective(vae.model, vae.guide, images, 1.0).loss.double() * len(images)
        return float(total) / len(self._images)

    def restore_best(self, vaes: Sequence[VAE]) -> None:
        """Puts the kept parameters into the modules; a no-op without patience."""
        for vae, best in zip(vaes, self._best_tensors, strict=True):
            if best:
                vae.load_state_dict(best)

    def tensors(self) -> dict[str, Tensor]:
        """The kept parameters, for a checkpoint."""
        return {f"best{index}/{name}": t for index, best in enumerate(self._best_tensors) for name, t in best.items()}

    def header(self) -> dict[str, Any]:
        """Best values (null where none yet) and waits, for a checkpoint."""
        return {"best": [b if math.isfinite(b) else None for b in self._best], "since": self._since}

    def restore(self, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        """Takes up what a checkpoint has.

        tensors: as :meth:`tensors` gives them.
        header: as :meth:`header` gives it.
        """
        self._best = [math.inf if best is None else best for best in header["best"]]
        self._since = list(header["since"])
        for index in range(len(self._vaes)):
            prefix = f"best{index}/"
            best = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
            if best and best.keys() != self._vaes[index].state_dict().keys():
                raise KeyError(f"parameters of replicate {index}")
            self._best_tensors[index] = best
