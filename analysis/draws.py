r"""Draws and their log-densities: the one evaluation that every estimator of information and divergence shares.

For a draw z the estimators need log q_N(z) of the aggregate posterior and log p(z) of the prior; for a draw of
q(z|xₙ) also log q(z|xₙ) and, where image n is a component of q_N, the leave-one-out aggregate
q₋ₙ(z) = (1/(N−1)) Σ_{m≠n} q(z|xₘ). They are evaluated once, in float64, and kept per draw: rate, mutual information
and KL are means of differences of these arrays, so that an estimate of a difference is a mean of paired differences.

``unit`` labels the independent unit of each draw: the image of a posterior draw, the draw itself under the prior.
Standard errors rest on units. Where every image of q_N is drawn equally often that error is the one of images sampled
from a population, which is conservative if q_N itself is the object.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.distributions import Distribution

from analysis.aggregate import Aggregate
from analysis.precision import log_prob_float64


@dataclass(frozen=True, slots=True)
class DrawDensities:
    """Log-densities of draws under the aggregate and the prior.

    log_aggregate: log q_N, float64 ``(M,)`` in nats.
    log_prior: log p, float64 ``(M,)`` in nats.
    unit: integer label ``(M,)`` of the independent unit of each draw.
    """

    log_aggregate: Tensor
    log_prior: Tensor
    unit: Tensor

    @property
    def log_ratio(self) -> Tensor:
        """Log q_N(z) − log p(z), ``(M,)``."""
        return self.log_aggregate - self.log_prior


@dataclass(frozen=True, slots=True)
class HeldOutDraws(DrawDensities):
    """Draws of q(z|x) for images x that are *not* components of the aggregate; ``unit`` is the held-out image.

    log_conditional: log q(z|x), float64 ``(M,)`` in nats.
    """

    log_conditional: Tensor

    def integrands(self) -> dict[str, Tensor]:
        """Per-draw integrands ``(M,)`` in nats, by the name of the quantity whose mean they are."""
        return {
            "rate": self.log_conditional - self.log_prior,
            "information_upper": self.log_conditional - self.log_aggregate,
            "kl_lower": self.log_ratio,
        }


@dataclass(frozen=True, slots=True)
class ComponentDraws(DrawDensities):
    """Draws of q(z|xₙ) for components n of the aggregate; ``unit`` is n.

    log_conditional: log q(z|xₙ), float64 ``(M,)`` in nats.
    log_aggregate_loo: log q₋ₙ, the leave-one-out aggregate, float64 ``(M,)`` in nats; −∞ with N = 1.
    num_components: N.
    """

    log_conditional: Tensor
    log_aggregate_loo: Tensor
    num_components: int

    def first(self, num: int) -> ComponentDraws:
        """The first ``num`` draws."""
        per_draw = {
            name: getattr(self, name)[:num]
            for name in ("log_aggregate", "log_prior", "unit", "log_conditional", "log_aggregate_loo")
        }
        return replace(self, **per_draw)

    def integrands(self) -> dict[str, Tensor]:
        """Per-draw integrands ``(M,)`` in nats, by the name of the quantity whose mean they are."""
        return {
            "rate": self.log_conditional - self.log_prior,
            "information": self.log_conditional - self.log_aggregate,
            "information_upper": self.log_conditional - self.log_aggregate_loo,
            "kl": self.log_ratio,
            "kl_lower": self.log_aggregate_loo - self.log_prior,
        }


def evaluate_prior_draws(
    aggregate: Aggregate, prior: Distribution, z: Tensor, *, log_aggregate: Tensor | None = None
) -> DrawDensities:
    """Densities of independent draws, of the prior or of any other source.

    Args:
        aggregate: q_N.
        prior: p over the latent shape.
        z: draws, ``(M, *latent_shape)``, in the dtype of the codes.
        log_aggregate: log q_N of them, nats ``(M,)``, where a pass that several sets of draws share has given it.
    """
    return DrawDensities(
        log_aggregate=aggregate.log_prob(z) if log_aggregate is None else log_aggregate,
        log_prior=log_prob_float64(prior, z),
        unit=torch.arange(len(z), device=z.device),
    )


def evaluate_component_draws(
    aggregate: Aggregate,
    prior: Distribution,
    z: Tensor,
    component: Tensor,
    *,
    logs: tuple[Tensor, Tensor] | None = None,
) -> ComponentDraws:
    """Densities of draws of components of the aggregate.

    Args:
        aggregate: q_N.
        prior: p over the latent shape.
        z: draws, ``(M, *latent_shape)``, in the dtype of the codes.
        component: the component each was drawn from, int64 ``(M,)``.
        logs: log q_N and log q₋ₙ of them, nats ``(M,)`` each, where a pass that several sets of draws share has given
            them.
    """
    log_aggregate, log_aggregate_loo = aggregate.log_prob_both(z, component) if logs is None else logs
    return ComponentDraws(
        log_aggregate=log_aggregate,
        log_prior=log_prob_float64(prior, z),
        unit=component,
        log_conditional=aggregate.component_log_prob(z, component),
        log_aggregate_loo=log_aggregate_loo,
        num_components=aggregate.num_components,
    )


def evaluate_held_out_draws(
    aggregate: Aggregate,
    held_out: Aggregate,
    prior: Distribution,
    z: Tensor,
    component: Tensor,
    *,
    log_aggregate: Tensor | None = None,
) -> HeldOutDraws:
    """Densities of draws of posteriors of images that are not components of the aggregate.

    Args:
        aggregate: q_N.
        held_out: the aggregate of the held-out images.
        prior: p over the latent shape.
        z: draws, ``(M, *latent_shape)``, in the dtype of the codes.
        component: the component of ``held_out`` each was drawn from, int64 ``(M,)``.
        log_aggregate: log q_N of them, nats ``(M,)``, where a pass that several sets of draws share has given it.
    """
    return HeldOutDraws(
        log_aggregate=aggregate.log_prob(z) if log_aggregate is None else log_aggregate,
        log_prior=log_prob_float64(prior, z),
        unit=component,
        log_conditional=held_out.component_log_prob(z, component),
    )
