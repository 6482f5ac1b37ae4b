r"""Refinement: μ and σ of single images raised to the optimum of their own ELBO, with all networks as they are.

An encoder gives q(z|x) = N(μ(x), diag σ²(x)) for every image by one network. What it thereby loses is the *amortisation
gap* (Cremer et al. 2018, arXiv:1801.03558)

    E_x { max over μ, σ of ELBO(x; μ, σ) − ELBO(x; μ(x), σ(x)) },    ELBO = E_q log p(x|z) − KL(q ‖ p),

whose maximum is sought by Adam from μ(x) and log σ(x), μ in units of σ(x), in ever shorter steps (as in semi-amortised
inference, Kim et al. 2018, arXiv:1802.02550). Each step draws a pair μ ± σε, in which what a linear decoder adds of
noise to the gradient of μ cancels, and the second half of the path is averaged. A search that ends early, or is noisy,
gives a gap that is too small, never one that is too large.

The *offset* is the squared length of the mean of the codes, ‖E_x μ(x)‖², estimated without the bias tr Cov(μ)/n of the
squared mean of n images by the U-statistic over pairs,

    ‖E μ‖² ≈ Σ_{i≠j} μᵢ·μⱼ / n(n − 1),    with the jackknife's standard error.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.distributions import Distribution, Independent, Normal, kl_divergence

from analysis.estimate import Estimate

LogLikelihood = Callable[[Tensor], Tensor]
"""log p(x|z) in nats, ``(n,)``, of latents ``(n, *latent_shape)``, one for each image; differentiable in them."""


def refine(
    log_likelihood: LogLikelihood,
    prior: Distribution,
    loc: Tensor,
    scale: Tensor,
    *,
    steps: int,
    learning_rate: float,
    generator: Generator,
) -> tuple[Tensor, Tensor]:
    """μ and σ ``(n, *latent_shape)`` after the search.

    Args:
        log_likelihood: of the images.
        prior: p(z), whose log-density has a gradient.
        loc: μ(x) where the search starts, ``(n, *latent_shape)``.
        scale: σ(x), of the same shape.
        steps: of Adam, at least 1.
        learning_rate: of the first step, on (μ − μ(x))/σ(x) and on log σ; it falls to 0 as a half cosine.
        generator: of the draws.
    """
    with torch.enable_grad():
        moved, stretched = (torch.zeros_like(loc).requires_grad_() for _ in range(2))
        optimiser = torch.optim.Adam([moved, stretched], lr=learning_rate)
        averages = [torch.zeros_like(loc) for _ in range(2)]
        for step in range(steps):
            q = _normal(loc + scale * moved, scale * stretched.exp())
            noise = _noise(loc, generator)
            bounds = torch.stack([elbo(log_likelihood, prior, q, sign * noise) for sign in (1, -1)])
            loss = -bounds.mean(0).sum()
            # The networks' own gradients are neither asked for nor kept.
            moved.grad, stretched.grad = torch.autograd.grad(loss, [moved, stretched])
            optimiser.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
            optimiser.step()
            late = step - steps // 2
            if late >= 0:
                for average, parameter in zip(averages, (moved, stretched), strict=True):
                    average.lerp_(parameter.detach(), 1 / (late + 1))
    return loc + scale * averages[0], scale * averages[1].exp()


def elbo(log_likelihood: LogLikelihood, prior: Distribution, q: Independent, noise: Tensor) -> Tensor:
    """ELBO of each image by one draw, in nats, ``(n,)``; KL(q ‖ p) in closed form where there is one.

    Args:
        log_likelihood: of the images.
        prior: p(z).
        q: diagonal normals N(μ, diag σ²) of the images.
        noise: standard normal, ``(n, *latent_shape)``: z = μ + σ · noise.
    """
    z = q.base_dist.loc + q.base_dist.scale * noise
    return log_likelihood(z) - rate(prior, q, z)


def rate(prior: Distribution, q: Independent, z: Tensor) -> Tensor:
    """KL(q ‖ p) of each image in nats, ``(n,)``; log q(z) − log p(z) where it has no closed form.

    Args:
        prior: p(z).
        q: diagonal normals of the images.
        z: a draw of each, ``(n, *latent_shape)``.
    """
    try:
        return kl_divergence(q, prior)
    except NotImplementedError:
        return q.log_prob(z) - prior.log_prob(z)


def compare(
    log_likelihood: LogLikelihood,
    prior: Distribution,
    before: tuple[Tensor, Tensor],
    after: tuple[Tensor, Tensor],
    *,
    draws: int,
    generator: Generator,
) -> dict[str, Estimate]:
    """Changes by the refinement of (μ, σ) from ``before`` to ``after``, ``(n, *latent_shape)`` each.

    ``offset`` and ``offset_refined``, ‖E μ‖² before and after; ``amortisation_gap`` in nats, whose draws share their
    noise before and after; ``rate_refined``, KL(q ‖ p) after it in nats, and its difference to that before it,
    ``rate_change``.

    Args:
        log_likelihood: of the images.
        prior: p(z).
        before, after: μ and σ.
        draws: of each image, at least 1.
        generator: of the draws.
    """
    ends = _normal(*before), _normal(*after)
    bounds, rates = [], []
    for _ in range(draws):
        noise = _noise(before[0], generator)
        bounds.append([elbo(log_likelihood, prior, q, noise).double() for q in ends])
        rates.append([rate(prior, q, q.base_dist.loc + q.base_dist.scale * noise).double() for q in ends])
    gains, changes = (torch.stack([late - early for early, late in pairs]).mean(0) for pairs in (bounds, rates))
    return {
        "offset": squared_offset(before[0]),
        "offset_refined": squared_offset(after[0]),
        "amortisation_gap": Estimate.mean(gains, "lower"),
        "rate_refined": Estimate.mean(torch.stack([late for _, late in rates]).mean(0)),
        "rate_change": Estimate.mean(changes),
    }


def squared_offset(loc: Tensor) -> Estimate:
    """‖E μ‖² of the means ``loc`` ``(n, *latent_shape)`` of n ≥ 3 images, without bias."""
    points = loc.flatten(1).double()
    n, own, total = len(points), points.square().sum(1), points.sum(0)
    squared = total.square().sum()
    value = (squared - own.sum()) / (n * (n - 1))
    # Without image i: ‖Σ − μᵢ‖² − Σ_{j≠i} ‖μⱼ‖².
    without = (squared - 2 * points @ total + own - (own.sum() - own)) / ((n - 1) * (n - 2))
    error = math.sqrt(float((without - without.mean()).square().sum()) * (n - 1) / n)
    return Estimate(float(value), error, n, n, "unbiased")


def _normal(loc: Tensor, scale: Tensor) -> Independent:
    return Independent(Normal(loc, scale), loc.dim() - 1)


def _noise(like: Tensor, generator: Generator) -> Tensor:
    noise = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
    return noise.to(like.device)
