"""By hand: the work of a study as one writes it without this project, with PyTorch and scikit-learn.

- training: autograd and ``torch.optim.Adam`` over the same networks, a preloaded tensor;
- log q_N of the draws: the naive broadcast of ``aggregate_density.py``, in blocks;
- mixtures: scikit-learn's ``GaussianMixture``, as many starts and components, scored on training and held-out codes;
- precision, recall, density and coverage: whole distance matrices of each source, as the package prdc computes them.

Each gives seconds of processor time. The first two do a part of the work and are scaled to all of it, since the whole
would take minutes or hours.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances
from sklearn.mixture import GaussianMixture
from torch import Tensor

from models.pure import pure_pyro
from models.vae import VAE
from tests.benchmarks.aggregate_density import naive_broadcast

TRIED_UPDATES = 40
BLOCK_ELEMENTS = 2**24
STARTS, ITERATIONS = 3, 200
"""Of a mixture, as here."""


def cpu_seconds(run: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def training(vae: VAE, images: Tensor, updates: int, batch: int) -> float:
    """Seconds of so many updates of one network, scaled from the first."""
    optimiser = torch.optim.Adam(vae.parameters(), lr=1e-3)

    def some(number: int) -> None:
        for _ in range(number):
            x = images[torch.randint(len(images), (batch,))]
            q = vae.posterior(x)
            z = q.rsample()
            loss = (q.log_prob(z) - vae.prior().log_prob(z) - vae.likelihood(z).log_prob(x)).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()

    tried = min(TRIED_UPDATES, updates)
    with pure_pyro():
        some(2)
        return cpu_seconds(lambda: some(tried)) * updates / tried


def log_aggregate(loc: Tensor, scale: Tensor, queries: int) -> float:
    """Seconds of log q_N at so many points, of posteriors ``(N, D)``, scaled from a few points."""
    few = max(1, min(queries, BLOCK_ELEMENTS // loc.numel()))
    z = loc[:few] + scale[:few]
    naive_broadcast(z, loc, scale)
    return cpu_seconds(lambda: naive_broadcast(z, loc, scale)) * queries / few


def mixtures(codes: Tensor, held_out: Tensor, components: Iterable[int], covariances: Iterable[str]) -> float:
    """Seconds of fitting and scoring every combination on codes ``(N, D)``."""
    kinds = {"diagonal": "diag", "full": "full", "tied": "tied"}

    def fits() -> None:
        for number in components:
            for covariance in covariances:
                fit = GaussianMixture(number, covariance_type=kinds[covariance], n_init=STARTS, max_iter=ITERATIONS)
                fit.fit(codes.numpy())
                fit.bic(codes.numpy()), fit.score(held_out.numpy())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return cpu_seconds(fits)


def neighbours(features: int, samples: int, sources: int, k: int = 5) -> float:
    """Seconds of the four overlaps of so many sources, scaled from one of random features."""
    real, fake = np.random.default_rng(0).normal(size=(2, samples, features))

    def prdc() -> None:
        radii = [np.partition(pairwise_distances(side, side), k, axis=1)[:, k] for side in (real, fake)]
        across = pairwise_distances(real, fake)
        (across < radii[0][:, None]).any(0).mean(), (across < radii[1][None]).any(1).mean()
        (across < radii[0][:, None]).sum(0).mean() / k, (across.min(1) < radii[0]).mean()

    prdc()
    return cpu_seconds(prdc) * sources
