r"""Mixed model: a linear model with several variance components, and the posterior of their scales.

    y ~ N(X b, Σ(s)),     Σ(s) = Σ_k s_k² K_k + diag e²,     b ~ N(0, c² I),     s_k ~ half-normal(½)

with known covariances K_k, such as ZZᵀ of the members Z of groups, and known errors e of measurement. Given s all is
normal, so the coefficients b are integrated out exactly, with A = XᵀΣ⁻¹X + I/c² and m = A⁻¹XᵀΣ⁻¹y:

    log p(y | s) = −½ (log det Σ + log det A + p log c² + yᵀΣ⁻¹y − mᵀAm + n log 2π),     b | s, y ~ N(m, A⁻¹).

What is left to sample are the few log s_k. A joint sampler would meet what makes such posteriors hard: b that are
collinear, and group effects whose spread is a parameter (the funnel of Neal 2003). Without them the density is smooth
and of few dimensions, and independence chains (Tierney 1994) sample it in one batch of Cholesky factors. Their proposal
is a Student-t, adapted by population Monte Carlo (Cappé et al. 2004): from the prior, with weights tempered so that an
eighth of the draws stays effective, until no tempering is needed. Starting wide, it finds the mass wherever the prior
has it; should it fit badly, chains stand still, which lowers their effective size and raises r_hat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

SCALE = 0.5
"""Of the half-normal prior of the scales: of an outcome of standard deviation 1 they lie below 1 with 95 %."""

NUMBERS_AT_ONCE = 2**24
"""Of the covariances of y at several sets of scales that are in memory together, 128 MiB."""

PILOTS = 1_000
"""Draws by which the proposal is adapted at a time."""

LEAST_EFFECTIVE = 1 / 8
"""Share of them that tempered weights leave effective."""

ROUNDS = 40
"""Adaptations at most; some ten are usual."""

FREEDOM = 5.0
"""Degrees of freedom of the proposal: tails of the target are exponential in log s, and its own are wider."""

DISCARDED = 50
"""First states of each chain that do not count."""


@dataclass(frozen=True, slots=True)
class MixedModel:
    """Data and design, in float64.

    outcome: y, ``(n,)``.
    design: X, ``(n, p)``.
    kernels: K_k, ``(k, n, n)``; one of them is the identity, or ``error`` is positive.
    error: e, standard deviations of known errors, ``(n,)``.
    prior_scale: c.
    """

    outcome: Tensor
    design: Tensor
    kernels: Tensor
    error: Tensor
    prior_scale: float = 1.0

    def log_density(self, log_scales: Tensor) -> Tensor:
        """log p(y, log s) ``(B,)``, coefficients integrated out, at ``log_scales`` ``(B, k)``; −∞ where Σ(s) is
        singular to rounding."""
        size = max(NUMBERS_AT_ONCE // len(self.outcome) ** 2, 1)
        evidences, singulars = [], []
        for few in log_scales.exp().split(size):
            given = self._given(few)
            evidences.append(given.log_evidence)
            singulars.append(given.singular)
        # Of half-normal scales, in log s, of which ds = s d(log s).
        standard = log_scales - math.log(SCALE)
        prior = (standard - 0.5 * (2 * standard).exp() + 0.5 * math.log(2 / math.pi)).sum(-1)
        return torch.where(torch.cat(singulars), -math.inf, torch.cat(evidences) + prior)

    def coefficients(self, scales: Tensor, generator: torch.Generator) -> Tensor:
        """One draw ``(B, p)`` of b | s, y at each of ``scales`` ``(B, k)``; ``generator`` is its randomness."""
        given = self._given(scales)
        noise = torch.randn(given.mean.shape, generator=generator, dtype=torch.float64)
        away = torch.linalg.solve_triangular(given.root.mT, noise[..., None], upper=True)
        return given.mean + away[..., 0]

    def leave_one_out(self, scales: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation ``(B, n)`` of each y_i given all others and s ``(B, k)``: with the precision
        Q of y, y_i − (Qy)_i/Q_ii and Q_ii^{−½} (Sundararajan & Keerthi 2001)."""
        covariance = self._covariance(scales) + self.prior_scale**2 * self.design @ self.design.T
        precision = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        variance = 1 / precision.diagonal(dim1=-2, dim2=-1)
        return self.outcome - variance * (precision @ self.outcome), variance.sqrt()

    def _covariance(self, scales: Tensor) -> Tensor:
        return torch.einsum("bk,kij->bij", scales.square(), self.kernels) + torch.diag(self.error.square())

    def _given(self, scales: Tensor) -> _Given:
        num, dim = self.design.shape
        factor, failed = torch.linalg.cholesky_ex(self._covariance(scales))
        both = torch.cat([self.design, self.outcome[:, None]], 1).expand(len(scales), num, dim + 1)
        white = torch.linalg.solve_triangular(factor, both, upper=False)
        columns, outcome = white[..., :dim], white[..., dim:]
        identity = torch.eye(dim, dtype=torch.float64)
        root, failed_too = torch.linalg.cholesky_ex(columns.mT @ columns + identity / self.prior_scale**2)
        projected = torch.linalg.solve_triangular(root, columns.mT @ outcome, upper=False)
        mean = torch.linalg.solve_triangular(root.mT, projected, upper=True)[..., 0]
        log_determinants = 2 * (_log_diagonal(factor) + _log_diagonal(root)) + 2 * dim * math.log(self.prior_scale)
        squares = outcome.square().sum((-2, -1)) - projected.square().sum((-2, -1))
        log_evidence = -0.5 * (log_determinants + squares + num * math.log(2 * math.pi))
        return _Given(log_evidence, mean, root, (failed + failed_too > 0) | ~log_evidence.isfinite())


class _Given(NamedTuple):
    """Of B sets of scales: log p(y | s) ``(B,)``, the mean ``(B, p)`` of b, a root ``(B, p, p)`` of its precision A,
    and which Σ(s) are singular."""

    log_evidence: Tensor
    mean: Tensor
    root: Tensor
    singular: Tensor


def sample_scales(model: MixedModel, generator: torch.Generator, *, num_chains: int, num_draws: int) -> Tensor:
    """Draws ``(chains, draws, k)`` of the scales s given y, from independent chains.

    Args:
        model: data and design.
        generator: the whole of the randomness.
        num_chains: independent chains, each from a start of its own.
        num_draws: states kept of each.
    """
    proposal = _adapted(model, generator)
    num = num_chains * (num_draws + DISCARDED)
    proposed = proposal.draw(num, generator)
    log_weights = (model.log_density(proposed) - proposal.log_density(proposed)).view(num_chains, -1)
    thresholds = torch.rand(log_weights.shape, generator=generator, dtype=torch.float64).log()
    state = torch.zeros(num_chains, dtype=torch.int64)
    states = torch.empty(log_weights.shape, dtype=torch.int64)
    for step in range(log_weights.shape[1]):
        current = log_weights.gather(1, state[:, None])[:, 0]
        moves = (thresholds[:, step] < log_weights[:, step] - current) | current.isneginf()
        state = torch.where(moves, step, state)
        states[:, step] = state
    visited = proposed.view(num_chains, -1, proposed.shape[1]).gather(
        1, states[..., None].expand(-1, -1, proposed.shape[1])
    )
    return visited[:, DISCARDED:].exp()


@dataclass(frozen=True, slots=True)
class _StudentT:
    """Multivariate Student-t of ``FREEDOM`` degrees: location ``(k,)``, and a root ``(k, k)`` of its scale matrix."""

    location: Tensor
    root: Tensor

    def draw(self, num: int, generator: torch.Generator) -> Tensor:
        dim = len(self.location)
        normal = torch.randn(num, dim, generator=generator, dtype=torch.float64)
        # A χ² of integer degrees of freedom is a sum of squares.
        squares = torch.randn(num, round(FREEDOM), generator=generator, dtype=torch.float64).square().sum(1)
        return self.location + (normal @ self.root.T) * (FREEDOM / squares).sqrt()[:, None]

    def log_density(self, points: Tensor) -> Tensor:
        dim = len(self.location)
        white = torch.linalg.solve_triangular(self.root, (points - self.location).T, upper=False)
        constant = math.lgamma((FREEDOM + dim) / 2) - math.lgamma(FREEDOM / 2) - 0.5 * dim * math.log(FREEDOM * math.pi)
        return constant - _log_diagonal(self.root) - (FREEDOM + dim) / 2 * (white.square().sum(0) / FREEDOM).log1p()


def _adapted(model: MixedModel, generator: torch.Generator) -> _StudentT:
    """A proposal with location and covariance of the posterior of log s."""
    num = len(model.kernels)
    # The first has, about, location and spread of the logarithm of a half-normal variable.
    proposal = _StudentT(
        torch.full((num,), math.log(SCALE) - 0.6, dtype=torch.float64), 1.5 * torch.eye(num, dtype=torch.float64)
    )
    untempered = 0
    for _ in range(ROUNDS):
        points = proposal.draw(PILOTS, generator)
        log_weights = model.log_density(points) - proposal.log_density(points)
        power = _tempering(log_weights)
        weights = (power * log_weights).softmax(0)
        location = weights @ points
        away = points - location
        covariance = away.T @ (weights[:, None] * away) + 1e-6 * torch.eye(num, dtype=torch.float64)
        # Slightly wider than the target: what a proposal lacks costs more than what it has too much.
        proposal = _StudentT(location, 1.1 * torch.linalg.cholesky(covariance))
        untempered += power == 1.0
        if untempered == 3:
            break
    return proposal


def _tempering(log_weights: Tensor) -> float:
    """The largest power in (0, 1] of the weights that leaves LEAST_EFFECTIVE of the draws effective, by bisection."""

    def share(power: float) -> float:
        weights = (power * log_weights).softmax(0)
        return 1 / float(weights.square().sum()) / len(log_weights)

    if share(1.0) >= LEAST_EFFECTIVE:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) >= LEAST_EFFECTIVE else (low, middle)
    return low


def _log_diagonal(factor: Tensor) -> Tensor:
    """Half the log-determinant of what ``factor`` ``(…, k, k)`` is the Cholesky root of."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
