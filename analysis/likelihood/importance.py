r"""Importance-weighted bounds on log p(x) (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519).

With weights w = p(x, z)/q(z|x) at draws z of q(z|x),

    L_K = E log (1/K) Σₖ wₖ ≤ L_{K+1} ≤ log p(x),      L_K ≈ log p(x) − Var(w) / (2 K p(x)²)       (leading order)

(bias: Nowozin 2018; Domke & Sheldon 2018, arXiv:1808.09034). One set of S draws of an image serves every K: it is cut
into ⌊S/K⌋ disjoint groups whose bounds are averaged, so each L_K is unbiased for its own expectation and the
expectations are ordered exactly.

How far a bound is from log p(x) is told by the weights' right tail: k̂, the shape of a generalised Pareto distribution
fitted to the largest min(S/5, 3√S) weights, and by the effective number of draws (Σw)²/Σw² (Vehtari et al. 2024,
arXiv:1507.02646). Above min(1 − 1/log₁₀ S, 0.7) the mean weight has not settled at S draws: the bound stays a lower
bound, but neither its trend nor its bias says where log p(x) is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from pyro.ops.stats import fit_generalized_pareto
from torch import Generator, Tensor
from torch.distributions import Distribution

from analysis.estimate import Bound, Estimate
from analysis.precision import ELEMENTS_PER_BLOCK, to_float64
from analysis.randomness import seeded

_NOT_FINITE = "a weight of one draw is zero or not a number"

MIN_TAIL = 5
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ImportanceBounds:
    """Bounds of B images and the diagnostics of their weights, float64.

    sizes: the numbers K of draws under one logarithm.
    bounds: log p(x) from below at each K, ``(B, len(sizes))`` in nats.
    effective_draws: ``(B,)``, of ``num_draws``.
    relative_variance: Var(w)/p(x)², ``(B,)``.
    tail_shape: k̂, ``(B,)``; NaN where no tail could be fitted.
    num_draws: S, draws of each image.
    """

    sizes: tuple[int, ...]
    bounds: Tensor
    effective_draws: Tensor
    relative_variance: Tensor
    tail_shape: Tensor
    num_draws: int

    @property
    def unreliable(self) -> Tensor:
        """Images ``(B,)`` whose k̂ is not below the threshold for S draws, those without a fit among them."""
        return ~(self.tail_shape < tail_threshold(self.num_draws))

    def per_image(self, size: int) -> Tensor:
        """Bounds ``(B,)`` at K = ``size``."""
        return self.bounds[:, self._column(size)]

    def estimate(self, size: int) -> Estimate:
        """Mean bound over images at K = ``size``; the standard error is that over images."""
        return self._mean(self.per_image(size), "lower")

    def gain(self, smaller: int, larger: int) -> Estimate:
        """The trend: L_K at ``larger`` minus L_K at ``smaller`` (nats, ≥ 0 in expectation), paired by image.

        Raises:
            ValueError: if one of them is not among ``sizes``.
        """
        return self._mean(self.per_image(larger) - self.per_image(smaller), "unbiased")

    def bias(self, size: int) -> Estimate:
        """−Var(w)/(2 K p(x)²), the leading order of L_K − log p(x); refused where K is not above the variance.

        A heavy tail hides its variance from S draws, so where images are unreliable the truth is further away.
        """
        variance = float(self.relative_variance.mean())
        if not variance < size:
            return Estimate.refused(
                f"the bias at K = {size} is not of leading order: relative variance {variance:.3g}", len(self.bounds)
            )
        return self._mean(-self.relative_variance / (2 * size), "consistent")

    def extended(self, size: int, single: Tensor, rows: Tensor) -> Estimate:
        r"""Mean bound at K = ``size`` over N images, of which these B are some (nats): a difference estimator.

        With aᵢ = log w of one draw, and dᵢ = L_K − L_1 of an image, it is the mean of a over all N images and that of d
        over the B, and its variance Var(a + d)/N + (1/B − 1/N) Var d (double sampling, Cochran 1977, chapter 12).
        Images differ by far more than what K draws gain over one, so that it is about as precise as if all N had K.

        Args:
            size: K; 1 must be among ``sizes``, too.
            single: a of all N images, float64 ``(N,)`` in nats, of independent draws.
            rows: these images among them, int64 ``(B,)``, chosen at random.

        Raises:
            ValueError: if ``size`` or 1 is not among ``sizes``.
        """
        gain = self.per_image(size) - self.per_image(1)
        some = self._mean(gain, "lower")
        if some.is_refused or not bool(torch.isfinite(single).all()):
            return Estimate.refused(some.flags[0].removeprefix("refused: ") if some.is_refused else _NOT_FINITE)
        share = len(gain) / len(single)
        of_all = math.sqrt(share) * Estimate.mean(single[rows] + gain).standard_error
        of_some = math.sqrt(1 - share) * some.standard_error
        value = float(single.mean()) + some.value
        num_draws = some.num_draws + len(single)
        return replace(some, value=value, standard_error=math.hypot(of_all, of_some), num_draws=num_draws)

    def unreliable_share(self) -> Estimate:
        """Share of unreliable images."""
        return Estimate.mean(self.unreliable)

    def _column(self, size: int) -> int:
        if size not in self.sizes:
            raise ValueError(f"expected one of the sizes {self.sizes}; got {size}: ask importance_bounds for it")
        return self.sizes.index(size)

    def _mean(self, values: Tensor, bound: Bound) -> Estimate:
        infinite = int((~torch.isfinite(values)).sum())
        if infinite:
            return Estimate.refused(f"weights of {infinite} images are all zero or not a number", len(values))
        share = float(self.unreliable.double().mean())
        threshold = tail_threshold(self.num_draws)
        flags = (f"unreliable: k̂ ≥ {threshold:.2g} or unknown for {share:.2%} of images",) if share else ()
        return replace(Estimate.mean(values, bound, flags), num_draws=len(values) * self.num_draws)


@torch.no_grad()
def log_importance_weights(
    log_joint: Callable[[Tensor], Tensor], proposal: Distribution, num_draws: int, generator: Generator
) -> Tensor:
    """Log-weights ``(B, S)`` (nats, float64) of S = ``num_draws`` draws of ``proposal`` for each of B images.

    Args:
        log_joint: log p(x_b, z) of latents ``(s, B, *latent)`` as float64 ``(s, B)``.
        proposal: q(z|x), batch shape ``(B,)`` and event shape the latent shape.
        num_draws: S; draws are evaluated in blocks, so that memory is bounded whatever S.
        generator: of the draws; chunks of images may take theirs from one, in turn.
    """
    (num_images,) = proposal.batch_shape
    twin = to_float64(proposal)
    block = max(ELEMENTS_PER_BLOCK // (num_images * max(math.prod(proposal.event_shape), 1)), 1)
    blocks = []
    with seeded(generator):
        for start in range(0, num_draws, block):
            z = proposal.sample(torch.Size([min(block, num_draws - start)]))
            joint, conditional = log_joint(z), twin.log_prob(z.double())
            for name, value in (("log_joint", joint), ("the proposal", conditional)):
                if value.dtype != torch.float64 or value.shape != (len(z), num_images):
                    raise ValueError(
                        f"expected float64 log-densities {(len(z), num_images)} of {name}; got {value.dtype} "
                        f"{tuple(value.shape)}: sum them in float64 over the whole latent and image"
                    )
            blocks.append(joint - conditional)
    return torch.cat(blocks).T


def importance_bounds(log_weights: Iterable[Tensor], sizes: Sequence[int] = (1, 5, 50, 500, 5000)) -> ImportanceBounds:
    """Bounds at each K.

    Args:
        log_weights: chunks of images, ``(b, S)`` in nats each; may be a generator.
        sizes: the numbers K.

    Raises:
        ValueError: if there is no chunk, some K exceeds S, or S differs between chunks.
    """
    chunks, num_draws = [], 0
    for block in log_weights:
        chunk = block.detach().double()
        num_draws = num_draws or chunk.shape[1]
        if chunk.shape[1] != num_draws or not 1 <= min(sizes) <= max(sizes) <= num_draws:
            raise ValueError(
                f"expected the same number S of draws for every image and 1 ≤ K ≤ S; got S = {chunk.shape[1]} "
                f"after {num_draws}, K = {tuple(sizes)}: draw more or leave out the larger K"
            )
        log_sum, log_sum_of_squares = chunk.logsumexp(1), (2 * chunk).logsumexp(1)
        effective = (2 * log_sum - log_sum_of_squares).exp()
        # Population variance over squared mean, made unbiased for the variance by S/(S − 1).
        variance = (num_draws / effective - 1) * num_draws / (num_draws - 1) if num_draws > 1 else effective * math.nan
        bounds = torch.stack([_grouped_bound(chunk, size) for size in sizes], 1)
        chunks.append((bounds, effective, variance, pareto_shape(chunk)))
    if not chunks:
        raise ValueError("expected log-weights of at least one chunk of images; got none")
    bounds, effective, variance, shape = (torch.cat(column) for column in zip(*chunks, strict=True))
    return ImportanceBounds(tuple(sizes), bounds, effective, variance, shape, num_draws)


def tail_threshold(num_draws: int) -> float:
    """The k̂ above which a mean of S weights has not settled: min(1 − 1/log₁₀ S, 0.7)."""
    return min(1 - 1 / math.log10(max(num_draws, 2)), 0.7)


def pareto_shape(log_weights: Tensor) -> Tensor:
    """k̂ ``(B,)`` of log-weights ``(B, S)``.

    Weights equal to rounding have no tail: k̂ = −∞. NaN with fewer than 5 tail weights (S < 25), where weights are not
    finite, or where a quarter of the tail is tied with the largest weight outside it.
    """
    num_draws = log_weights.shape[1]
    num_tail = num_draws // 5 if num_draws <= 225 else math.floor(3 * math.sqrt(num_draws))
    shapes = torch.full((len(log_weights),), math.nan, dtype=torch.float64)
    if num_tail >= MIN_TAIL:
        largest = log_weights.double().topk(num_tail + 1).values.cpu()
        weights = (largest - largest[:, :1]).exp()
        exceedances = weights[:, :-1] - weights[:, -1:]
        constant = exceedances[:, 0] < ROUNDING
        shapes[constant] = -math.inf
        quartile = exceedances[:, -max(round(num_tail / 4), 1)]
        for image in (~constant & (quartile > 0)).nonzero().flatten().tolist():
            shapes[image], _ = fit_generalized_pareto(exceedances[image])
    return shapes.to(log_weights.device)


def _grouped_bound(log_weights: Tensor, size: int) -> Tensor:
    groups = log_weights.shape[1] // size
    return (log_weights[:, : groups * size].unflatten(1, (groups, size)).logsumexp(2) - math.log(size)).mean(1)
