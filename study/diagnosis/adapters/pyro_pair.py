"""A Pyro model and guide, as a pair ``(model, guide)`` of functions of a batch of images.

The guide's only sample site is the latent, and the model's observed site the image. q(z|x) is the distribution of the
guide's site, and p(x|z) that of the model's observed site with the latent held at z; both functions take the images as
their first argument, and plates are over images. Parameters are those of Pyro's store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from study.diagnosis.adapters._base import Adapted, Adapter
from study.errors import DataError

Site = Mapping[str, Any]


def adapt(pair: tuple[Callable[..., Any], Callable[..., Any]]) -> Adapted:
    """The distributions of both sites as functions."""
    model, guide = pair
    shape: list[torch.Size] = []

    def encode(images: Tensor) -> Any:
        shape[:] = [images.shape[1:]]
        return _site(guide, "guide", lambda site: not site["is_observed"], images)["fn"]

    def decode(z: Tensor) -> Any:
        if not shape:
            raise DataError("the shape of images is learned from the guide; encode some before decoding")
        images = z.new_zeros(len(z), *shape[0])
        latent = _site(model, "model", lambda site: not site["is_observed"], images)["name"]
        held = poutine.condition(model, data={latent: z})
        return _site(held, "model", lambda site: site["is_observed"] and site["name"] != latent, images)["fn"]

    return Adapted(encode, decode)


def _site(function: Callable[..., Any], called: str, wanted: Callable[[Site], bool], images: Tensor) -> Site:
    trace = poutine.trace(function).get_trace(images)
    sites = [
        site
        for site in trace.nodes.values()
        if site["type"] == "sample" and type(site["fn"]).__name__ != "_Subsample" and wanted(site)
    ]
    if len(sites) != 1:
        names = ", ".join(str(site["name"]) for site in sites) or "none"
        raise DataError(f"the {called} must have one latent and one observed site; it has {names}")
    return sites[0]


def _is_pair(model: Any) -> bool:
    return isinstance(model, tuple) and len(model) == 2 and all(map(callable, model))


ADAPTER = Adapter(_is_pair, adapt)
