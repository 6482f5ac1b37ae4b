r"""Annealed importance sampling of log p(x) (Neal 2001, physics/9803008) and its bidirectional sandwich.

Along the geometric path f_β(z) = f₀(z)^{1−β} p(x, z)^β from a normalised density f₀ (the prior, or a guide) a chain
z₀ ~ f₀, z_t ~ T_t(· | z_{t−1}) with T_t leaving f_{β_t} invariant has the weight

    log w = Σ_t (β_t − β_{t−1}) [log p(x, z_{t−1}) − log f₀(z_{t−1})],      E w = p(x),

so E log w ≤ log p(x): a stochastic lower bound. Run from β = 1 down to 0 from an *exact* draw of p(z|x), as a
simulated pair (z, x) ~ p gives, the weight is unbiased for 1/p(x) and −log w a stochastic upper bound (Grosse,
Ghahramani & Adams 2015, arXiv:1511.02543). Both hold for the mean weight of several chains, which tightens them. The
expected gap of single chains falls as 1/T in the number T of temperatures. Wu et al. 2017 (arXiv:1611.04273) evaluate
decoders in this way: the schedule is theirs, a logistic function scaled to [0, 1], as are ten leapfrog steps and an
acceptance of 0.65.

The mean of a weight is exact only if T_t does not depend on the chain it moves, so step sizes are tuned on pilot chains
and then fixed per temperature and image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Generator, Tensor

from analysis.estimate import Bound, Estimate
from analysis.likelihood.hmc import LogDensity, hmc_transition

TARGET_ACCEPTANCE = 0.65
LEAPFROG_STEPS = 10
ADAPTATION_RATE = 0.2
INITIAL_STEP_SIZE = 0.25


@dataclass(frozen=True, slots=True)
class AnnealedEvidence:
    """Estimates of log p(x) by C chains for each of B images.

    log_evidence: of each chain, float64 ``(C, B)`` in nats.
    acceptance: ``(B,)``, mean over chains and temperatures; a low one loosens a bound and never breaks it.
    bound: whether the evidence is from below or from above.
    """

    log_evidence: Tensor
    acceptance: Tensor
    bound: Bound

    def per_image(self) -> Tensor:
        """Estimate ``(B,)`` from the mean weight of the chains of each image."""
        sign = 1 if self.bound == "lower" else -1
        return sign * ((sign * self.log_evidence).logsumexp(0) - math.log(len(self.log_evidence)))

    def estimate(self) -> Estimate:
        """Mean over images, with the standard error over images; refused if a weight is not finite."""
        values = self.per_image()
        broken = int((~torch.isfinite(values)).sum())
        if broken:
            return Estimate.refused(f"annealed weights of {broken} images are not finite", len(values))
        estimate = Estimate.mean(values, self.bound)
        return replace(estimate, num_draws=self.log_evidence.numel())


@dataclass(frozen=True, slots=True)
class Sandwich:
    """Log p(x) (nats) between two stochastic bounds, evidence per image kept; ``gap`` is their paired difference.

    The expected gap is at least the expected error of either end.

    lower: evidence of chains from f₀.
    upper: evidence of chains from exact draws of p(z|x).
    """

    lower: AnnealedEvidence
    upper: AnnealedEvidence

    def gap(self) -> Estimate:
        """Mean over images of upper − lower."""
        ends = self.lower.estimate(), self.upper.estimate()
        if any(end.is_refused for end in ends):
            return Estimate.refused("an end of the sandwich is not finite", ends[0].n)
        gap = Estimate.mean(self.upper.per_image() - self.lower.per_image())
        return replace(gap, num_draws=sum(end.num_draws for end in ends))


@dataclass(frozen=True, slots=True)
class AnnealingPath:
    """The path of the module docstring for B images, with the step size of each transition.

    Args:
        log_initial: log f₀ of latents ``(C, B, *latent)``, float64 ``(C, B)`` in nats.
        log_joint: log p(x, z) of latents ``(C, B, *latent)``, float64 ``(C, B)`` in nats.
        schedule: 0 = β₀ < … < β_T = 1, float64 ``(T + 1,)``.
        step_size: of the transitions at β₁ … β_{T−1}, ``(T − 1, B)``, in units of the latent.

    Raises:
        ValueError: if the schedule does not rise from 0 to 1.
    """

    log_initial: LogDensity
    log_joint: LogDensity
    schedule: Tensor
    step_size: Tensor

    def __post_init__(self) -> None:
        beta = self.schedule
        if float(beta[0]) != 0.0 or float(beta[-1]) != 1.0 or not bool((beta.diff() > 0).all()):
            raise ValueError(f"a schedule rises from 0 to 1; got {beta.tolist()[:3]} …: take sigmoid_schedule")

    @classmethod
    def tuned(
        cls, log_initial: LogDensity, log_joint: LogDensity, start: Tensor, schedule: Tensor, generator: Generator
    ) -> Self:
        """A path whose step sizes were adapted along pilot chains.

        log ε rises by 0.2 (acceptance − 0.65) from one temperature to the next, acceptance averaged over an image's
        pilot chains.

        Args:
            log_initial: as of the class.
            log_joint: as of the class.
            start: draws of f₀, ``(C, B, *latent)``, which must not serve again as the start of the weighed chains.
            schedule: as of the class.
            generator: the whole of the randomness.
        """
        beta, position = schedule.to(start.device), start
        log_step = torch.full(start.shape[1:2], math.log(INITIAL_STEP_SIZE), dtype=torch.float64, device=start.device)
        steps = []
        path = cls(log_initial, log_joint, beta, log_step.new_empty(0))
        for t in range(1, len(beta) - 1):
            steps.append(log_step.exp())
            position, acceptance = hmc_transition(path._tempered(t), position, steps[-1], generator, LEAPFROG_STEPS)
            log_step = log_step + ADAPTATION_RATE * (acceptance.mean(0) - TARGET_ACCEPTANCE)
        return replace(path, step_size=torch.stack(steps) if steps else log_step.new_empty(0, start.shape[1]))

    def forward(self, start: Tensor, generator: Generator) -> AnnealedEvidence:
        """Lower bounds on log p(x).

        Args:
            start: independent draws of f₀, ``(C, B, *latent)``.
            generator: the whole of the randomness.
        """
        return AnnealedEvidence(*self._run(start, generator), bound="lower")

    def reverse(self, start: Tensor, generator: Generator) -> AnnealedEvidence:
        """Upper bounds on log p(x). On real images no exact draw of p(z|x) exists and this is no bound.

        Args:
            start: ``(C, B, *latent)``, each an exact draw of p(z|x); the C chains of an image may share one.
            generator: the whole of the randomness.
        """
        flipped = replace(
            self,
            log_initial=self.log_joint,
            log_joint=self.log_initial,
            schedule=1 - self.schedule.flip(0),
            step_size=self.step_size.flip(0),
        )
        log_weights, acceptance = flipped._run(start, generator)
        return AnnealedEvidence(-log_weights, acceptance, bound="upper")

    @torch.no_grad()
    def _run(self, start: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Log-weights ``(C, B)`` of chains from ``start`` and the mean acceptance ``(B,)`` of each image."""
        position, accepted = start, []
        log_weights = torch.zeros(start.shape[:2], dtype=torch.float64, device=start.device)
        for t, width in enumerate(self.schedule.diff().tolist()):
            if t:
                tempered = self._tempered(t)
                position, acceptance = hmc_transition(
                    tempered, position, self.step_size[t - 1], generator, LEAPFROG_STEPS
                )
                accepted.append(acceptance.mean(0))
            log_weights += width * (self.log_joint(position) - self.log_initial(position))
        return log_weights, torch.stack(accepted).mean(0) if accepted else torch.full_like(log_weights[0], math.nan)

    def _tempered(self, t: int) -> LogDensity:
        beta = float(self.schedule[t])
        return lambda z: (1 - beta) * self.log_initial(z) + beta * self.log_joint(z)


def sandwich(path: AnnealingPath, initial: Tensor, posterior: Tensor, generator: Generator) -> Sandwich:
    """Bounds on log p(x) of simulated images.

    Args:
        path: of the images.
        initial: draws of f₀, ``(C, B, *latent)``.
        posterior: exact draws of p(z|x), of the same shape. For (z, x) ~ p(z) p(x|z) the latent z itself is one:
            ``z.expand(C, …)``.
        generator: the whole of the randomness.
    """
    return Sandwich(path.forward(initial, generator), path.reverse(posterior, generator))


def sigmoid_schedule(num_temperatures: int, steepness: float = 4.0) -> Tensor:
    """β_t for t = 0 … T: logistic of points spread evenly, scaled to [0, 1]; symmetric, β_{T−t} = 1 − β_t.

    Args:
        num_temperatures: T.
        steepness: the points lie between −``steepness`` and ``steepness``.

    Returns:
        float64 ``(T + 1,)``.

    Raises:
        ValueError: if T < 1.

    >>> sigmoid_schedule(2)
    tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """
    if num_temperatures < 1:
        raise ValueError(f"expected at least one temperature step; got {num_temperatures}")
    raw = torch.sigmoid(torch.linspace(-steepness, steepness, num_temperatures + 1, dtype=torch.float64))
    return (raw - raw[0]) / (raw[-1] - raw[0])
