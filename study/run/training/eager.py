"""EagerEngine: the SVI loop that a reader would write, one replicate after another; reference and fallback."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models import noise
from models.objectives import Objective
from models.pure import pure_pyro
from models.vae import VAE
from study.run.training.adam import Adam
from study.run.training.ranks import Ranks
from study.run.training.state import State
from study.run.training.step import Batch, Loss


class EagerEngine:
    """Pyro's pair, the objective, ``backward`` and ``torch.optim.Adam``, on the tensors of a :class:`State`.

    The modules' parameters and the optimisers' moments become views of the state's rows, so that the state is up to
    date after every update.

    vaes: the replicates, S of them.
    objective: what is minimised.
    state: what it updates.
    batch: what each update consumes.
    bf16: whether networks run in bfloat16.
    ranks: the processes that share each batch; None for this one alone.
    """

    name = "eager"

    def __init__(
        self,
        vaes: Sequence[VAE],
        objective: Objective,
        state: State,
        batch: Batch,
        *,
        bf16: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        self._vaes = list(vaes)
        self._state = state
        self._batch = batch
        self._device_type = state.count.device.type
        self._bf16 = bf16
        self._optimisers = []
        for index, vae in enumerate(self._vaes):
            named = dict(vae.named_parameters())
            for name, parameter in named.items():
                parameter.data = state.parameters[name][index]
            first, second = (
                {name: moment[index] for name, moment in moments.items()}
                for moments in (state.exp_avg, state.exp_avg_sq)
            )
            self._optimisers.append(Adam(named, first, second, state.count))
            for name, buffer in vae.named_buffers():
                buffer.data = state.buffers[name][index]
        losses = [Loss(vae, objective) for vae in self._vaes]
        self._losses = [ranks.parallel(loss) for loss in losses] if ranks else losses

    def step(self) -> Tensor:
        """One update of every replicate from the batch; the metrics ``(3, S)`` of the state before it."""
        metrics = [self._update(index) for index in range(len(self._vaes))]
        self._state.count.add_(1)
        return torch.stack(metrics, dim=1)

    def _update(self, index: int) -> Tensor:
        batch = self._batch
        autocast = torch.autocast(self._device_type, torch.bfloat16, enabled=self._bf16)
        with noise.replay([draws[index] for draws in batch.noise]), pure_pyro(), autocast:
            terms = self._losses[index](batch.images(index), batch.latent_scale)
        terms.loss.backward()
        self._optimisers[index].step(batch.learning_rate, generative=bool(batch.generative))
        return torch.stack([terms.loss.detach(), terms.rate.mean(), terms.distortion.mean()])
