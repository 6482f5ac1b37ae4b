r"""Pair: the traces of one pass through guide and model, as terms per image.

An observed site has the term −log p(x|z). A latent site has KL(q(z|x) ‖ p(z)), in closed form where torch registers
one, and otherwise one draw of log q(z|x) − log p(z). Every objective is a function of these terms and of what stands
behind them: q, p, z and the sizes of the events. Terms are ``(B,)`` in nats, without scale and mask;
:meth:`Site.weigh` puts those on.

Where each image has K draws the batch is K·B images long, copy by copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch
from pyro import poutine
from pyro.distributions import Independent, TorchDistribution
from pyro.distributions.util import scale_and_mask
from pyro.poutine.subsample_messenger import _Subsample
from pyro.poutine.trace_struct import Trace
from torch import Tensor
from torch.distributions import kl_divergence


def closed_form_kl(q: TorchDistribution, p: TorchDistribution) -> Tensor | None:
    """KL(q ‖ p) where a closed form is registered, else None."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


def kl(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """KL(q ‖ p) in closed form where there is one, else its one-draw estimate at z ~ q."""
    exact = closed_form_kl(q, p)
    return q.log_prob(z) - p.log_prob(z) if exact is None else exact


@dataclass(frozen=True, slots=True)
class Site:
    """A sample site.

    name: of the site.
    p: its distribution under the model.
    value: drawn or observed, ``(B, *event_shape)``.
    scale, mask: those of Pyro, which broadcast to ``(B,)``.
    term: −log p(x|z) or KL(q(z|x) ‖ p(z)) of each image in nats, ``(B,)``, without scale and mask.
    """

    name: str
    p: TorchDistribution
    value: Tensor
    scale: Any
    mask: Any
    term: Tensor

    @property
    def size(self) -> int:
        """Elements of one event: D for a latent site, the number of pixel values for images."""
        return self.p.event_shape.numel()

    def weigh(self, term: Tensor) -> Tensor:
        """``term`` ``(…, B)`` times the site's scale, and zero where the site is masked."""
        return scale_and_mask(term, self.scale, self.mask)

    @property
    def masked(self) -> Tensor:
        """The term with its mask, without scale."""
        return scale_and_mask(self.term, 1.0, self.mask)


@dataclass(frozen=True, slots=True)
class Latent(Site):
    """A latent site, drawn from ``q``."""

    q: TorchDistribution

    @property
    def by_factor(self) -> Tensor:
        """The term by factor, ``(F, B)``: each of the D dimensions where q and p both factorise, else one, the sum."""
        if not (isinstance(self.q, Independent) and isinstance(self.p, Independent)):
            return self.term[None]
        return kl(self.q.base_dist, self.p.base_dist, self.value).reshape(len(self.value), self.size).T

    @property
    def log_ratio(self) -> Tensor:
        """Log q(z|x) − log p(z) at the draw, ``(B,)``."""
        return self.q.log_prob(self.value) - self.p.log_prob(self.value)


@dataclass(frozen=True, slots=True)
class Pair:
    """One pass of guide and model; :meth:`log_joint` scores the model again, at other latents.

    latents: latent sites.
    observed: observed sites.
    """

    latents: tuple[Latent, ...]
    observed: tuple[Site, ...]
    _model: Callable[[], Any]
    _guide_trace: Trace

    @classmethod
    def run(cls, model: Callable[..., Any], guide: Callable[..., Any], images: Tensor, *args: Any) -> Self:
        """One pass of the guide on images, and of the model at the latents it drew.

        model: of the pair, as Pyro knows it.
        guide: of the pair.
        images: ``(B, *image_shape)``.
        args: what else the two are called with.
        """
        guide_trace = poutine.trace(guide).get_trace(images, *args)
        drawn: dict[str, Any] = guide_trace.nodes
        scored = partial(model, images, *args)
        latents, observed = [], []
        for name, node in _samples(scored, guide_trace).items():
            p, value, placed = node["fn"], node["value"], (node["scale"], node["mask"])
            if node["is_observed"]:
                observed.append(Site(name, p, value, *placed, -p.log_prob(value)))
            else:
                q = drawn[name]["fn"]
                latents.append(Latent(name, p, value, *placed, kl(q, p, value), q))
        return cls(tuple(latents), tuple(observed), scored, guide_trace)

    def log_joint(self, values: Mapping[str, Tensor]) -> Tensor:
        """Log p(x, z) with scale, ``(B,)``, at ``values`` ``(B, *event_shape)`` of the latent sites of these names."""
        trace = self._guide_trace.copy()
        for name, value in values.items():
            trace.nodes[name] = {**trace.nodes[name], "value": value}
        nodes = _samples(self._model, trace).values()
        terms = [scale_and_mask(n["fn"].log_prob(n["value"]), n["scale"], n["mask"]) for n in nodes]
        return torch.stack(terms).sum(0)

    @property
    def rate(self) -> Tensor:
        """Sum of the latent terms with scale, ``(B,)``."""
        return torch.stack([site.weigh(site.term) for site in self.latents]).sum(0)

    @property
    def distortion(self) -> Tensor:
        """Sum of the observed terms with scale, ``(B,)``."""
        return torch.stack([site.weigh(site.term) for site in self.observed]).sum(0)

    @property
    def log_weights(self) -> Tensor:
        """Log w = log p(x, z) − log q(z|x) with scale at the draws, ``(B,)``."""
        return -self.distortion - torch.stack([site.weigh(site.log_ratio) for site in self.latents]).sum(0)


def _samples(model: Callable[[], Any], guide_trace: Trace) -> dict[str, Any]:
    """Sample sites of the model at the latents of the guide, by name."""
    nodes: dict[str, Any] = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace().nodes
    return {n: node for n, node in nodes.items() if node["type"] == "sample" and not isinstance(node["fn"], _Subsample)}
